"""One table, files of every kind: what landed is in silver, and the books of lines balance."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING

import polars as pl

from scenario import checks, land, load, metadata, rows_of, run_well

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      files: "*"
      columns:
        - {name: item_id}
        - {name: label}
        - {name: price, type: "decimal(10,2)"}
      keys: [item_id]
"""


def _zip(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _parquet(row: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    pl.DataFrame([row]).write_parquet(packed)
    return packed.getvalue()


def _row(number: int) -> dict[str, str]:
    return {
        "item_id": f"00{number}",
        "label": "Zoë's nº 1" if number % 2 else f"{number} Łódź",
        "price": f"{number}.50",
    }


def _csv(number: int, delimiter: str = ",") -> str:
    row = _row(number)
    return f"{delimiter.join(row)}\n{delimiter.join(row.values())}\n"


def test_files_of_every_kind_end_up_in_one_table(lake: Lake, tmp_path: Path) -> None:
    land(
        lake,
        "shop",
        {
            "items/1.csv": _csv(1),
            "items/2.csv.gz": gzip.compress(_csv(2, ";").encode()),
            "items/3.tsv.bz2": bz2.compress(_csv(3, "\t").encode("utf-16")),
            "items/4.zip": _zip({"inside.csv": _csv(4, "|")}),
            "items/5.ndjson": json.dumps(_row(5)) + "\n",
            "items/6.json": json.dumps([_row(6)]),
            "items/7.parquet": _parquet(_row(7)),
            "items/8.txt": "\n".join(
                f"{a:<10}{b:<20}{c:<8}"
                for a, b, c in (("item_id", "label", "price"), _row(8).values(), _row(9).values())
            ),
            "items/a.csv": _csv(10, "\x1f").replace("\n", "\x1e"),
            "items/b.csv": "".join(f"“{line.replace(',', '”,“')}”\n" for line in _csv(11).splitlines()),
            "items/c.csv": "sep=/\n" + _csv(12, "/"),
            "items/d.csv": _csv(13, "|+|"),
            "items/f.zip": _zip(
                {
                    "heads.csv": _csv(16) + _csv(17).split("\n")[1],
                    "spelled.csv": _csv(18)
                    .replace("item_id,label", "LABEL,Item_ID ")
                    .replace("0018,18 Łódź", "18 Łódź,0018"),
                    "none.csv": "\n".join(_csv(number).split("\n")[1] for number in (19, 20, 21)),
                }
            ),
            "items/g.zip": _zip({"data.csv": _csv(99), "README.txt": "This is it.\nIn a few, short, lines.\n"}),
            "items/e.csv": (_csv(14) + _csv(15).split("\n")[1] + "\n").replace("\n", ",,,\n"),
        },
    )
    result = run_well(load(tmp_path, YAML), "shop")
    found = {
        row["item_id"]: (row["label"], str(row["price"])) for row in rows_of(lake, "silver/shop/items/current.parquet")
    }
    expected = {row["item_id"]: (row["label"], row["price"]) for row in map(_row, range(1, 22))}
    assert found == expected
    assert checks(result)["bronze_items", "lossless"].passed
    said = metadata(result, "bronze_items")
    assert said["files_ingested"] == 14
    assert "| parquet | none |" in said["files"]
    landing = str(checks(result)["bronze_items", "landing"].description)
    assert "g.zip was not taken (attempt 1 of 3; the next run tries again): in README.txt, one of its files," in landing


def test_a_json_file_of_which_nothing_can_be_read_is_not_lost_in_silence(lake: Lake, tmp_path: Path) -> None:
    cut = {"items/3.json": '[{"item_id": "3"}, {"item_i'}
    land(lake, "shop", {"items/1.csv": _csv(1), "items/2.ndjson": '{"item_id": \n{"label": \n', **cut})
    result = run_well(load(tmp_path, YAML), "shop")
    landing = checks(result)["bronze_items", "landing"]
    assert "items/2.ndjson was not taken" in (landing.description or "")
    assert "items/3.json: 1 lines are no row and were not expected; `_rescued` has the text." in (
        landing.description or ""
    )
