"""Queries in DuckDB's SQL that models may well hold, from plain to awkward, over the two small tables they read.

Each says what is known of it: `FOLLOWED`, every column's origin is; `NOT_FOLLOWED`, its columns are and where some of
them come from is not; `OPEN_ENDED`, only a run can say which columns there are.
"""

from __future__ import annotations

TABLES: dict[str, dict[str, str]] = {
    "items": {"item_id": "VARCHAR", "label": "VARCHAR", "price": "DECIMAL(10,2)", "n": "BIGINT", "day": "DATE"},
    "sales": {"item_id": "VARCHAR", "q": "BIGINT", "day": "DATE", "shop": "VARCHAR"},
}
ROWS = {
    "items": """
        ('a', 'x,y', 1.50, 1, DATE '2026-01-01'), ('b', 'x', 2.00, 5, DATE '2026-01-02'), ('c', 'z', 9.99, 3, DATE '2026-02-01'),
        ('d', 'x', 2.00, 5, DATE '2026-02-03'), ('e', NULL, NULL, 7, NULL)
    """,
    "sales": """
        ('a', 3, DATE '2026-01-01', 'north'), ('a', 5, DATE '2026-01-05', 'south'), ('b', 3, DATE '2026-01-02', 'north'),
        ('x', 1, DATE '2026-03-01', 'south'), ('c', NULL, DATE '2026-02-01', NULL)
    """,
}
# Values no row has, by type: what a column becomes when a test asks who notices.
OTHERWISE = {
    "VARCHAR": "CASE WHEN {0} IS NULL THEN 'm,n,o' WHEN {0} > 'b' THEN NULL ELSE 'p' || {0} END",
    "BIGINT": "coalesce({0} * 7 % 11, 4)",
    "DECIMAL(10,2)": "(coalesce({0}, 5) * 3)::DECIMAL(10,2)",
    "DATE": "coalesce({0}, DATE '2027-01-01') + INTERVAL 40 DAY * (1 + day({0}) % 3)",
}

FOLLOWED = """
select * exclude (price) from items
select * replace (price * 2 as price) from items
select * exclude (item_id) replace (n + 1 as n), upper(label) as label2 from items
select * rename (item_id as iid) from items
select * ilike 'i%' from items
from items
from items select item_id, n
table items
select item_id as k, k || 'x' as k2 from items where k2 <> 'ax'
select i.*, s.q from items i left join sales s using (item_id, day)
select i.* exclude (label), s.* exclude (item_id, day) from items i join sales s using (item_id)
select item_id from items natural join sales
select i.label, s.q from (items i join sales s using (item_id)) join sales t on t.q = i.n
select item_id from items i full join sales s using (item_id)
select coalesce(i.n, s.q) as v from items i full join sales s using (item_id)
select * from items i join sales s on i.item_id = s.item_id
select i.item_id as key, s.item_id as other from items i cross join sales s where i.item_id = s.item_id
select i.item_id, t.total from items i, lateral (select sum(q) as total from sales s where s.item_id = i.item_id) t
select s.item_id, m.* from sales s left join lateral (select i.price, i.n from items i where i.item_id = s.item_id limit 1) m on true
select unnest([1, 2, 3]) as u, item_id from items
select u.x, item_id from items, unnest([1, 2, 3]) as u(x)
select unnest(string_split(label, ',')) as word, item_id from items
select w.word, item_id from items, unnest(string_split(label, ',')) as w(word)
select unnest(l) as v from (select list(item_id) as l from items)
select item_id, row_number() over w as rn from items window w as (partition by label order by day)
select item_id from items qualify row_number() over (partition by label order by day desc) = 1
select rank() over (partition by day order by n) as r, n as n2, n2 + 1 as n3 from items
select lag(n) over (order by day, item_id) as prev, n - lag(n, 1) over (order by day, item_id) as diff from items
select sum(n) over (partition by label order by day, item_id rows between 3 preceding and current row) as mv from items
select item_id, sum(n) over (partition by label) / sum(n) over () as share from items
with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select n from r
with recursive t as (select item_id, label, 1 as lvl from items where label is not null union all select s.item_id, t.label, t.lvl + 1 from sales s join t on s.item_id = t.item_id where t.lvl < 3) select * from t
with a as (select item_id, sum(n) as t from items group by 1), b as (select *, t * 2 as t2 from a) select b.*, i.label from b join items i using (item_id)
with a as materialized (select 1 as one) select one from a
with t as (select * from items), u as (select * from t where n > 1) select u.label, t.n from u, t where u.item_id = t.item_id
with items2(k, v) as (select item_id, n from items) select k, v from items2
select * from (values (1, 'a'), (2, 'b')) v(id, name)
select item_id, sum(q) filter (where q > 1) as s from sales group by all
select count(*) filter (where n > 1) as c from items
select item_id, label, sum(n) from items group by all
select item_id, count(*) from items group by 1 order by 2 desc
select date_trunc('month', day) as m, count(*) as c from items group by m having c > 0 order by m
select grouping_id(item_id, label) as g, item_id, label, count(*) as cnt from items group by cube (item_id, label)
select mad(n) as m, histogram(n) as h, string_agg(label, ',' order by label) as s, arg_max(label, n) as am from items
select max(struct_pack(d := day, v := label)).v as latest from items
select item_id, first(label order by day) as l from items group by item_id
select sum(n)::int as s, round(sum(price) / nullif(sum(n), 0), 2) as avg_price from items
select s.item_id from sales s asof join items i on s.item_id = i.item_id and s.day >= i.day
select item_id from items semi join sales using (item_id)
select a.* from items a anti join sales b using (item_id)
select item_id from items where item_id in (select item_id from sales)
select item_id from items where (item_id, day) in (select item_id, day from sales)
select item_id from items where n = (select max(q) from sales)
select item_id from items where n > any (select q from sales)
select item_id, (select max(q) from sales s where s.item_id = i.item_id) as m from items i
select exists(from sales where sales.item_id = items.item_id) as has from items
select array(select q from sales where sales.item_id = i.item_id order by q) as qs from items i
select item_id from items union all by name select item_id, q from sales
select item_id from items union select shop from sales
select item_id from items except select item_id from sales
select item_id from items intersect select item_id from sales
select a.x from (select item_id as x from items union all select shop from sales) a
select distinct label from items
select distinct on (label) label, item_id from items order by label, day
select item_id, n from items order by n desc, item_id limit 2
(select item_id from items order by item_id) limit 3
select {'a': item_id, 'b': n} as st, map {'a': n} as m, [n, n] as l from items
select st.a from (select {'a': item_id} as st from items)
select struct_pack(a := item_id).a from items
select row(item_id, n) as r, (item_id, n) as t from items
select [x + 1 for x in [n, 2] if x > 1] as l from items
select list_filter([n, 4], lambda x: x > n) as l from items
select "Item_ID", ITEM_ID as again, Items.N from ITEMS
select n as "Weird Name" from items
select label as "label", items.label as l2, shop.items.label as l3 from items
select i.item_id, i.n from shop.items i
select x.* from items as x(a, b)
select a, c from items as x(a, b, c)
select t.* from (select item_id, n from items) t
select item_id from (from items where n > 1)
select generate_series as g from generate_series(1, 10)
select range from range(10)
select d.day::date as day from (select unnest(generate_series(date '2020-01-01', date '2020-02-01', interval 1 day)) as day) d
select strptime('20260101', '%Y%m%d')::date as d, try_cast(label as int) as e, item_id::varchar || 'x' as j from items
select extract(year from day) as y, day + interval 1 day as nx, strftime(day, '%Y') as s, day - date '2020-01-01' as since from items
select case when n > 1 then label when label = 'x' then 'y' end as c, n is null as isn, item_id in ('a', 'b') as inn, label like 'x%' as lk from items
select if(n > 1, item_id, label) as z, label[1] as c, label[1:2] as p, len(label) as length from items
select n // 2 as h, n % 2 as m, n ** 2 as p, n << 1 as sh, -n as neg, n::varchar || '%' as pct from items
select 'x' as lit, 1 as one, $$a$$ as dollar, e'\\n' as esc, 1_000 as big from items
select price as n, n as m from items
from items i join sales s using (item_id) select i.item_id, sum(q) as q group by all having sum(q) > 0 order by all
select sum(n) as total, item_id::enum('a', 'b', 'c', 'd', 'e') as e, interval 1 day as i from items group by all
select columns('i.*') from items
select min(columns(*)) from items
select columns(['item_id', 'n']) from items
select coalesce(columns('l.*'), 'x') from items
with a as (select day, columns('[np].*') * 2 as 'twice_\\0' from items) select max(columns('twice_.*')) as 'most_\\0', day from a group by day
select s.shop, min(columns(i.* exclude (item_id, day))) from sales s join items i using (item_id) group by all
select sum(columns('q') + columns('q')) from sales
select unnest({'a': item_id, 'b': n}) from items
select day, unnest(s) from (select day, struct_pack(a := item_id, b := n) as s from items)
select * from (pivot sales on shop in ('north', 'south') using sum(q) group by item_id)
pivot sales on shop in ('north', 'south') using sum(q) group by item_id
select p.* from (pivot sales on shop in ('north', 'south') using sum(q) as total, count(*) as rows group by item_id, day) as p
with a as (select item_id, shop, q + 1 as q from sales), p as (pivot a on shop in ('north', 'south') using max(q)) select item_id, north from p
select * from sales pivot (sum(q) for shop in ('north', 'south') group by item_id)
select p.north_s, p.item_id from sales pivot (sum(q) as s, count(*) as c for shop in ('north', 'south') group by item_id) as p
select * from (unpivot items on price, n into name k value v)
unpivot items on price, n
from (unpivot (select item_id, n, price from items) on n, price) as u join sales as s using (item_id) select u.item_id, u.value, s.shop
unpivot items on columns(* exclude (item_id, label, day)) into name k value v
unpivot items on (price, n) as 'x', (n, n) as 'y' into name k value v, w
select u.k, u.v, u.label from items as i unpivot (v for k in (price as p, n)) as u where u.item_id > 'a'
select * from items unpivot include nulls (v for k in (price, n))
select * from items unpivot ((v, w) for k in ((price, n), (n, price)))
with u as (unpivot (from items) on price::varchar, label) select value, count(*) as c from u group by all
unpivot (from (unpivot items on price, n)) on label, item_id into name k value v
select s.* from (select {'a': item_id, 'b': n} as s from items)
select item_id, s.* exclude (a) from (select item_id, {'a': label, 'b': n} as s from items)
with t as (select item_id as key, struct_pack(a := price, b := day) as s from items) select t.*, s.* from t
""".strip().splitlines()

NOT_FOLLOWED = """
select * like 'i%' from items
select #1 from items
select items from items
select label.upper() as u from items
""".strip().splitlines()

OPEN_ENDED = """
select * from (pivot sales on shop using sum(q) group by item_id)
select * from read_csv('nowhere.csv')
select * from glob('nowhere/*')
""".strip().splitlines()
