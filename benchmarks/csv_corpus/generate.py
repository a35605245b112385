"""Write the corpus: one pollution at a time on several tables, then several at a time.

`generate(folder, seed)` is deterministic; a file's truth lies beside it as JSON: kind, header, rows.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from benchmarks.csv_corpus.document import Document
from benchmarks.csv_corpus.exports import EXPORTS
from benchmarks.csv_corpus.foreign import FOREIGN
from benchmarks.csv_corpus.guises import GUISES
from benchmarks.csv_corpus.odd_ways import ODD, TOO_LATE, WITH_OWN_ROWS, WITHOUT_LINES
from benchmarks.csv_corpus.pollutions import BODY, FOOT, FORMAT, HEAD, SIZE
from benchmarks.csv_corpus.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

TABLES_PER_KIND = 9
ALONE = FORMAT | HEAD | FOOT | BODY | SIZE | FOREIGN | GUISES | ODD | EXPORTS
MIXED_FILES, WILD_FILES = 500, 400
SHARE_OF_GROUPS = 0.6
WILD_HEAD = [kind for kind in HEAD if kind not in {"preamble delimited", "preamble pairs"}]


def generate(
    folder: Path,
    seed: int = 7,
    *,
    tables_per_kind: int = TABLES_PER_KIND,
    mixed_files: int = MIXED_FILES,
    wild_files: int = WILD_FILES,
) -> int:
    """Write all files and truths; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for kind in ALONE:
        for table in range(tables_per_kind):
            count += _write(folder, f"{seed}:{kind}:{table}", [kind], kind)
    for i in range(mixed_files):
        r = random.Random(f"{seed}:mixed:{i}")
        kinds = [r.choice(list(FORMAT))]
        kinds += [r.choice(list(group)) for group in (HEAD, FOOT, BODY) if r.random() < SHARE_OF_GROUPS]
        count += _write(folder, f"{seed}:mixed:{i}", kinds, f"{len(kinds)} at a time")
    for i in range(wild_files):
        r = random.Random(f"{seed}:wild:{i}")
        odd = r.choice(list(ODD))
        # What stands above comes first: an odd way writes the names in its own manner.
        kinds = [r.choice(WILD_HEAD)] if r.random() < SHARE_OF_GROUPS else []
        kinds.append(odd)
        if odd not in WITHOUT_LINES:
            body = [kind for kind in BODY if not (odd in WITH_OWN_ROWS and kind in TOO_LATE)]
            kinds += [r.choice(list(group)) for group in (FOOT, body) if r.random() < SHARE_OF_GROUPS]
        count += _write(folder, f"{seed}:wild:{i}", kinds, f"odd, {len(kinds)} at a time")
    return count


def _write(folder: Path, name: str, kinds: list[str], kind: str) -> int:
    r = random.Random(name)
    header, rows = r.choice(TABLES)(r, r.choice([12, 30, 84, 200]))
    doc = Document(header, rows)
    for each in kinds:
        ALONE[each](doc, r)
    stem = name.replace(":", "_").replace(" ", "-").replace("/", "-")
    true_header, true_rows = doc.truth()
    (folder / f"{stem}.csv").write_bytes(doc.render())
    truth = {"kind": kind, "kinds": kinds, "header": true_header, "rows": true_rows}
    (folder / f"{stem}.json").write_text(json.dumps(truth))
    return 1
