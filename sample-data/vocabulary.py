"""The words the sample company's data is made of. Words only; every person is invented, every address is fictional.

In a name, `伟=wei` gives the spelling used in the email address. Mail domains are the reserved example domains.
"""

# ruff: noqa: RUF001 - letters of other alphabets are the point of this file
from __future__ import annotations

from dataclasses import dataclass

REGIONS = (
    ("AFR", "Africa"),
    ("AME", "Americas"),
    ("APA", "Asia-Pacific"),
    ("EUR", "Europe"),
    ("MEA", "Middle East"),
)


@dataclass(frozen=True)
class Country:
    """A country, its share of the customers, and how its people, cities and streets are called."""

    code: str
    name: str
    region: str
    weight: int
    dial: str
    given: str
    family: str
    cities: str
    streets: str
    family_first: bool = False


# fmt: off
COUNTRIES = (
    Country("AE", "United Arab Emirates", "MEA", 3, "+971", "Layla|Omar|Noura|Khalid|Mariam", "Al Mansoori|Haddad|Al Suwaidi|Rahman|Nasser", "Dubai|Abu Dhabi|Sharjah", "Al Wasl Road {n}|Corniche Street {n}"),
    Country("AU", "Australia", "APA", 4, "+61", "Chloe|Jack|Matilda|Noah|Zoë", "Nguyen|Campbell|O'Brien|Wilson|Papadopoulos", "Melbourne|Hobart|Perth", "{n} Banksia Avenue|{n} Harbour Road"),
    Country("BR", "Brasil", "AME", 5, "+55", "João|Beatriz|Luís|Conceição|Thiago", "da Silva|Gonçalves|Araújo|Simões|Magalhães", "São Paulo|Florianópolis|Belém", "Rua das Acácias, {n}|Avenida Brasília {n}"),
    Country("CA", "Canada", "AME", 4, "+1", "Émilie|Liam|Geneviève|Ethan|Noémie", "Tremblay|Côté|MacLeod|Singh|Bélanger", "Montréal|Halifax|Trois-Rivières", "{n}, rue Saint-Denis|{n} Maple Street"),
    Country("CI", "Côte d'Ivoire", "AFR", 2, "+225", "Aïcha|Koffi|Adjoua|Yao|Aminata", "Kouassi|Traoré|N'Guessan|Koné|Ouattara", "Abidjan|Yamoussoukro|Bouaké", "Boulevard de Marseille {n}|Rue des Jardins {n}"),
    Country("CN", "China", "APA", 5, "+86", "伟=wei|芳=fang|秀英=xiuying|敏=min|静=jing", "王=wang|李=li|张=zhang|刘=liu|陈=chen", "北京|上海|成都", "建国路{n}号|人民东路{n}号", family_first=True),
    Country("CZ", "Czechia", "EUR", 4, "+420", "Tomáš|Jiří|Kateřina|Zdeněk|Eliška", "Novák|Dvořáková|Černý|Procházka|Kučerová", "Praha|Brno|České Budějovice", "Dlouhá {n}|Květinová {n}"),
    Country("DE", "Germany", "EUR", 10, "+49", "Jürgen|Anneliese|Björn|Käthe|Lukas", "Müller|Schäfer|Weiß|Groß|Hoffmann", "Berlin|Köln|München|Lübeck", "Hauptstraße {n}|Am Mühlenweg {n}"),
    Country("DK", "Denmark", "EUR", 3, "+45", "Søren|Freja|Bjørn|Astrid|Jørgen", "Ærø|Sørensen|Østergaard|Nielsen|Kjær", "København|Ærøskøbing|Århus", "Nørregade {n}|Søndergade {n}"),
    Country("EG", "Egypt", "MEA", 3, "+20", "Youssef|Salma|Karim|Nadia|Hany", "Hassan|Mahfouz|El Sayed|Farouk|Zaki", "Cairo|Alexandria|Aswan", "Talaat Harb Street {n}|Nile Corniche {n}"),
    Country("ES", "Spain", "EUR", 6, "+34", "José|Begoña|Iñaki|Lucía|Núria", "García|Muñoz|Ibáñez|Peña|Castellà", "Madrid|Málaga|A Coruña", "Calle del Olmo, {n}|Plaza de España {n}"),
    Country("FR", "France", "EUR", 8, "+33", "Zoë|François|Hélène|Loïc|Anaïs", "Lefèvre|Dupont|Béranger|Gauthier|L'Hôte", "Lyon|Nîmes|Besançon", "{n} rue de l'Église|{n}, avenue Foch"),
    Country("GB", "United Kingdom", "EUR", 9, "+44", "Siân|Oliver|Imogen|Rhys|Priya", "Smith|Brontë|Llewellyn|Patel|Ó Néill", "London|Leeds|Aberystwyth", "{n} High Street|{n} Station Road"),
    Country("IN", "India", "APA", 6, "+91", "Aarav|Diya|Ishaan|Lakshmi|Rohan", "Sharma|Iyer|Banerjee|D'Souza|Reddy", "Pune|Kochi|Jaipur", "{n} MG Road|{n}, Temple Street"),
    Country("IT", "Italy", "EUR", 6, "+39", "Niccolò|Giulia|Matteo|Chiara|Noè", "Rossi|D'Angelo|Ricci|Nicolò|Esposito", "Torino|Forlì|Cefalù", "Via Garibaldi, {n}|Corso Libertà {n}"),
    Country("JP", "Japan", "APA", 5, "+81", "陽子=yoko|健太=kenta|さくら=sakura|大輔=daisuke|美咲=misaki", "佐藤=sato|鈴木=suzuki|高橋=takahashi|渡辺=watanabe|小林=kobayashi", "東京|京都|札幌", "本町{n}丁目|桜通り{n}", family_first=True),
    Country("KR", "Korea, Republic of", "APA", 4, "+82", "민준=minjun|서연=seoyeon|지훈=jihun|하은=haeun|수빈=subin", "김=kim|이=lee|박=park|최=choi|정=jung", "서울|부산|대구", "세종대로 {n}|해운대로 {n}", family_first=True),
    Country("MX", "México", "AME", 4, "+52", "Guadalupe|Andrés|Itzel|Raúl|Ximena", "Hernández|Núñez|López|Ramírez|Zúñiga", "Mérida|Querétaro|Ciudad de México", "Calle Juárez {n}|Avenida Revolución, {n}"),
    Country("NA", "Namibia", "AFR", 3, "+264", "Ndapewa|Hendrik|Selma|Tangeni|Ilse", "Shikongo|van Wyk|Nghipandulwa|Kandjii|Hamutenya", "Windhoek|Swakopmund|Lüderitz", "{n} Independence Avenue|Bismarckstraße {n}"),
    Country("PL", "Poland", "EUR", 7, "+48", "Łukasz|Małgorzata|Wojciech|Zofia|Paweł", "Wiśniewski|Dąbrowska|Kowalczyk|Wójcik|Żak", "Łódź|Kraków|Gdańsk", "ul. Długa {n}|ul. Świętojańska {n}"),
    Country("PT", "Portugal", "EUR", 3, "+351", "Inês|Tomás|Leonor|Simão|Mafalda", "Ferreira|Guimarães|Falcão|Brandão|Lourenço", "Lisboa|Évora|Setúbal", "Rua do Salitre, {n}|Travessa da Conceição {n}"),
    Country("TR", "Türkiye", "MEA", 4, "+90", "Çağla|Emre|Şebnem|Oğuz|Işıl", "Yılmaz|Öztürk|Çelik|Güneş|Aydın", "İstanbul|İzmir|Eskişehir", "Atatürk Caddesi {n}|Gül Sokağı {n}"),
    Country("TZ", "Tanzania, United Republic of", "AFR", 2, "+255", "Neema|Juma|Rehema|Baraka|Zawadi", "Mwakasege|Kimaro|Massawe|Mushi|Lema", "Dodoma|Arusha|Mwanza", "Uhuru Street {n}|Sokoine Drive {n}"),
    Country("US", "United States", "AME", 10, "+1", "Renée|Marcus|Chloé|Tyrone|Madison", "Johnson|Peña|Kowalski|Washington|Nguyen", "Portland|San José|Baton Rouge", "{n} Elm Street|{n} Cañon Drive"),
    Country("ZA", "South Africa", "AFR", 4, "+27", "Thandiwe|Pieter|Lerato|Sipho|Anneke", "Dlamini|Botha|Naidoo|Mokoena|Böhmke", "Cape Town|Durban|Gqeberha", "{n} Long Street|{n} Protea Road"),
)

# code, name, department, styles, nouns, price range in cents
CATEGORIES = (
    ("BAG", "Bags & Cases", "Office", "Canvas|Waxed|Felt|Recycled", "Backpack|Tote|Laptop Sleeve|Pencil Case|Satchel|Toiletry Bag", (1290, 14900)),
    ("CKW", "Cookware", "Kitchen", "Cast-Iron|Copper|Enamelled|Carbon-Steel", 'Frying Pan 12"|Saucepan|Casserole, 4 l|Crêpe Pan|Stockpot|Paella Pan', (1890, 18900)),
    ("GTL", "Garden Tools", "Garden", "Ash-Handled|Forged|Lightweight|Japanese", 'Trowel|Secateurs|Hand Fork|Hoe|Pruning Saw 10"|Dibber', (790, 6900)),
    ("LGT", "Lighting", "Home", "Brass|Opal Glass|Smoked|Rattan", "Desk Lamp|Pendant, large|Pendant, small|Wall Light|Floor Lamp|Lantern", (2490, 29900)),
    ("PLT", "Pots & Planters", "Garden", "Terracotta|Glazed|Fibreclay|Zinc", "Pot, 15 cm|Pot, 25 cm|Window Box|Hanging Planter|Saucer|Trough", (390, 5900)),
    ("STN", "Stationery", "Office", "Linen-Bound|Dotted|Kraft|Marbled", "Notebook A5|Notebook A4|Letter Set|Desk Pad|Card Box|Weekly Planner", (350, 3900)),
    ("TBL", "Tableware", "Kitchen", "Stoneware|Porcelain|Speckled|Hand-Painted", "Dinner Plate|Café au Lait Bowl|Mug|Jug, 1 l|Serving Platter|Egg Cup", (490, 7900)),
    ("TXT", "Textiles", "Home", "Washed Linen|Organic Cotton|Merino|Waffle", "Throw|Cushion Cover|Tea Towel|Duvet Cover|Tablecloth, 2 m|Appliqué Quilt", (990, 21900)),
)
# fmt: on

PLACE_NOTES = ("2nd floor", "Gate B", "Ring twice", "Apartment 7", "Behind the bakery")
MAIL_DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.example")
CHANNELS = (("web", 60), ("store", 22), ("phone", 8), ("marketplace", 10))
