"""Make the sample data: `python sample-data/generate.py [--out FOLDER]`.

Writes `day1/` and `day2/` (what an operator would land), `expected.json` (what FlowForge must make of it) and
`FLAWS.md` (every flaw with its line). Seeded: each run gives the same bytes. Here belong the writing and the checks;
the data is made in `catalogue`, `customers` and `sales`, the truth is found in `truth`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import products, small_tables
from customers import customers
from sales import order_items, orders
from truth import TABLES, Report, Silver, broken_rules, gold, ingest_day

if TYPE_CHECKING:
    from rows import File, Flaw

SEED = "retail 2026-02-01"
DAYS = ("day1", "day2")
TALLIED = ("deduplicated", "late", "unchanged", "quarantined")


def make_files() -> list[File]:
    """Make the rows of all landing files, parents first."""
    people, goods = customers(SEED), products(SEED)
    sold = orders(SEED, people)
    return [*small_tables(SEED), *goods.files, *people.files, *sold.files, *order_items(SEED, sold, goods)]


def find_truth(files: list[File]) -> tuple[Report, dict[str, Silver]]:
    """Ingest day by day with the reference; give the report and the silver tables after each day."""
    silver: Silver = {table.name: {} for table in TABLES}
    report: Report = {}
    after: dict[str, Silver] = {}
    for day in DAYS:
        report[day] = ingest_day([file for file in files if file.day == day], silver)
        after[day] = {table: dict(rows) for table, rows in silver.items()}
    return {**report, "gold_day1": gold(after["day1"]), "gold": gold(after["day2"])}, after


def tally(files: list[File], day: str, table: str) -> Counter[str]:
    """Count what the generator put in: rows by rule and by account."""
    hard = {"keys_present", "type"} | {rule.name for t in TABLES for rule in t.rules if rule.quarantines}
    counts: Counter[str] = Counter()
    for row in (row for file in files if (file.day, file.table) == (day, table) for row in file.rows):
        said = {name for flaw in row.flaws for name in flaw.counts}
        counts.update(said)
        counts["quarantined"] += bool(said & hard)
    return counts


def check_against_tally(files: list[File], report: Report) -> None:
    """Compare the reference's counts with what was put in: two ways to the same number.

    References are put in too, but also follow from other flaws (the lines of a quarantined order), so there the
    reference may only find more.
    """
    for day in DAYS:
        for table, found in report[day].items():
            put_in = tally(files, day, table)
            for name, count in {**{name: found[name] for name in TALLIED}, **found["rules"]}.items():
                agrees = count >= put_in[name] if name.startswith("references_") else count == put_in[name]
                if not agrees:
                    raise AssertionError(f"{day} {table} {name}: {put_in[name]} put in, {count} found")


def consequences(files: list[File], after: dict[str, Silver]) -> list[str]:
    """List the rows that break a reference because of a flaw somewhere else."""
    lines = []
    tables = {table.name: table for table in TABLES}
    for file in files:
        for line, _, row in file.lines():
            _, broken, _ = broken_rules(tables[file.table], row.values, after[file.day])
            said = {name for flaw in row.flaws for name in flaw.counts}
            follows = [name for name in broken if name not in said]
            if follows:
                lines.append(f"| {file.path} | {line} | {_key(file, row.values)} | {', '.join(follows)} |")
    return lines


def flaws_page(files: list[File], after: dict[str, Silver]) -> str:
    """Give the text of `FLAWS.md`."""
    found: dict[str, list[str]] = {}
    for file in files:
        for line, number, row in file.lines():
            for flaw in row.flaws:
                found.setdefault(flaw.kind, []).append(_flaw_line(file, line, number, row.values, flaw))
    sections = [
        f"## {kind} ({len(found[kind])})\n\n| file | line | row | key | counts as | what |\n|---|---|---|---|---|---|\n"
        + "\n".join(found[kind])
        for kind in sorted(found)
    ]
    follows = consequences(files, after)
    intro = (
        "Written by `generate.py`; the [README](README.md) explains the kinds. `line` is the line an editor shows, "
        "`row` the record's number in the file (1 is the first after the header): quoted newlines make them drift apart."
    )
    aside = (
        "Rows that are right themselves and break a reference because the row they point to is in quarantine, has not "
        "come yet, or because they repeat or correct such a row. They stay, with a warning."
    )
    table = "| file | line | key | rule |\n|---|---|---|---|\n" + "\n".join(follows)
    last = f"## follows from another flaw ({len(follows)})"
    return "\n\n".join(["# Every flaw, by line", intro, *sections, last, aside, table]) + "\n"


def _flaw_line(file: File, line: int, number: int, values: dict[str, str], flaw: Flaw) -> str:
    counts = ", ".join(f"`{name}`" for name in flaw.counts) or "-"
    return f"| {file.path} | {line} | {number} | {_key(file, values)} | {counts} | {flaw.note} |"


def _key(file: File, values: dict[str, str]) -> str:
    key = next(table.key for table in TABLES if table.name == file.table)
    return " / ".join(values[column] or "(empty)" for column in key)


def write(out: Path, files: list[File]) -> None:
    """Find the truth, check it against the tally, write everything."""
    report, after = find_truth(files)
    check_against_tally(files, report)
    for file in files:
        path = out / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.text().encode())
    (out / "expected.json").write_bytes((json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
    (out / "FLAWS.md").write_bytes(flaws_page(files, after).encode())


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description="Make the sample data of the retail workflow.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to (default: here)")
    out = parser.parse_args().out
    files = make_files()
    write(out, files)
    for file in files:
        print(f"{file.path:<45} {len(file.rows):>5} rows")


if __name__ == "__main__":
    main()
