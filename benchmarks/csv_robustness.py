"""How well readers load polluted CSV files: header, record and cell F1 per kind of pollution.

`python -m benchmarks.csv_robustness [--seed N] [--reader NAME] [--worst]`. Scores are multiset precision and recall
against the true table, empty and missing being the same; a file a reader refuses scores 0. Where the true table has no
header, header is not scored. FlowForge's rows without a row number are rescued lines, not records.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from benchmarks.csv_corpus.generate import generate
from flowforge_assets.formats.csv_options import ROW_NUMBER
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.formats.read_file import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Loaded = tuple[list[str], list[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 of header, records and cells."""

    header: tuple[float, float, float] | None
    record: tuple[float, float, float]
    cell: tuple[float, float, float]

    @property
    def mean(self) -> float:
        parts = [part[2] for part in (self.header, self.record, self.cell) if part is not None]
        return sum(parts) / len(parts)


def flowforge(path: Path) -> Loaded:
    with tempfile.TemporaryDirectory() as scratch:
        read = read_file(path, FileOptions(), Path(scratch))
        rows = read.frame().filter(pl.col(ROW_NUMBER).is_not_null()).select(read.columns).collect()
    return list(read.columns), _text(rows.rows())


def duckdb_auto(path: Path) -> Loaded:
    return _duckdb(f"SELECT * FROM read_csv('{path}', all_varchar=true)")


def duckdb_lenient(path: Path) -> Loaded:
    return _duckdb(
        f"SELECT * FROM read_csv('{path}', all_varchar=true, strict_mode=false, null_padding=true, ignore_errors=true, parallel=false)"
    )


def _duckdb(sql: str) -> Loaded:
    with duckdb.connect() as connection:
        result = connection.execute(sql)
        return [d[0] for d in result.description or []], _text(result.fetchall())


def pandas_default(path: Path) -> Loaded:
    return _pandas(path)


def pandas_sniff(path: Path) -> Loaded:
    return _pandas(path, sep=None, engine="python")


def _pandas(path: Path, **options: Any) -> Loaded:
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False, **options)
    header, rows = [str(name) for name in frame.columns], frame.itertuples(index=False, name=None)
    if isinstance(frame.index, pd.RangeIndex):
        return header, _text(rows)
    # Columns too many for the header, which pandas takes for the index; its `reset_index` is quadratic in their number.
    keys = [key if isinstance(key, tuple) else (key,) for key in frame.index]
    names = [str(name or f"level_{place}") for place, name in enumerate(frame.index.names)]
    return [*names, *header], _text((*key, *row) for key, row in zip(keys, rows, strict=True))


def polars_default(path: Path) -> Loaded:
    return _polars(pl.read_csv(path, infer_schema=False))


def polars_lenient(path: Path) -> Loaded:
    return _polars(
        pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True, ignore_errors=True, encoding="utf8-lossy")
    )


def _polars(frame: pl.DataFrame) -> Loaded:
    return frame.columns, _text(frame.rows())


def _text(rows: Iterable[Sequence[object]]) -> list[tuple[str, ...]]:
    return [tuple("" if cell is None or cell != cell else str(cell) for cell in row) for row in rows]  # noqa: PLR0124 -- NaN


READERS: dict[str, Callable[[Path], Loaded]] = {
    "flowforge": flowforge,
    "duckdb": duckdb_auto,
    "duckdb lenient": duckdb_lenient,
    "pandas": pandas_default,
    "pandas sniff": pandas_sniff,
    "polars": polars_default,
    "polars lenient": polars_lenient,
}


def measure(true: Sequence[object], loaded: Sequence[object]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of two multisets."""
    if not true and not loaded:
        return 1.0, 1.0, 1.0
    hits = sum((Counter(true) & Counter(loaded)).values())
    precision, recall = hits / len(loaded) if loaded else 0.0, hits / len(true) if true else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


def score(truth: dict[str, Any], loaded: Loaded) -> Score:
    """Score one loading of one file."""
    header = measure(truth["header"], loaded[0]) if truth["header"] else None
    rows = [tuple(row) for row in truth["rows"]]
    cells = [cell for row in rows for cell in row]
    return Score(header, measure(rows, loaded[1]), measure(cells, [cell for row in loaded[1] for cell in row]))


NOTHING = (0.0, 0.0, 0.0)


def attempt(reader: Callable[[Path], Loaded], path: Path, truth: dict[str, Any]) -> Score:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return score(truth, reader(path))
    except BaseException as error:  # a reader that refuses or panics has loaded nothing
        if isinstance(error, KeyboardInterrupt):
            raise
        if reader is flowforge:
            print(f"flowforge failed on {path.name}: {error!r}", file=sys.stderr)
        empty = not truth["header"] and not truth["rows"]
        return (
            Score(None, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
            if empty
            else Score(NOTHING if truth["header"] else None, NOTHING, NOTHING)
        )


def run(folder: Path, names: list[str], worst: int, only: str) -> dict[str, Any]:
    """Score the readers on every file of a folder and print a table."""
    scores: dict[str, dict[str, list[Score]]] = {name: defaultdict(list) for name in names}
    files: list[tuple[float, str]] = []
    seconds: Counter[str] = Counter()
    for path in sorted(folder.glob("*.csv")):
        truth = json.loads(path.with_suffix(".json").read_text())
        if only not in truth["kind"]:
            continue
        for name in names:
            begun = time.perf_counter()
            result = attempt(READERS[name], path, truth)
            seconds[name] += time.perf_counter() - begun
            scores[name][truth["kind"]].append(result)
            if name == names[0]:
                files.append((result.mean, f"{path.name} {truth['kinds']} {result}"))
    _print(scores, names, seconds)
    for mean, line in sorted(files)[:worst]:
        print(f"{mean:.3f} {line}")
    return {n: {k: [s.mean for s in v] for k, v in scores[n].items()} for n in names}


def _print(scores: dict[str, dict[str, list[Score]]], names: list[str], seconds: Counter[str]) -> None:
    print(f"{'kind':30s}" + "".join(f"{name:>15s}" for name in names))
    for kind in scores[names[0]]:
        means = [sum(s.mean for s in scores[n][kind]) / len(scores[n][kind]) for n in names]
        print(f"{kind:30s}" + "".join(f"{mean:15.3f}" for mean in means))
    for label, part in (("header F1", "header"), ("record F1", "record"), ("cell F1", "cell")):
        values = [[getattr(s, part)[2] for v in scores[n].values() for s in v if getattr(s, part)] for n in names]
        print(f"{label:30s}" + "".join(f"{sum(v) / len(v):15.4f}" for v in values))
    everything = [[s.mean for v in scores[n].values() for s in v] for n in names]
    print(f"{'all files':30s}" + "".join(f"{sum(v) / len(v):15.4f}" for v in everything))
    print(f"{'seconds':30s}" + "".join(f"{seconds[n]:15.1f}" for n in names) + f"   ({len(everything[0])} files)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--reader", action="append", choices=list(READERS))
    parser.add_argument("--only", default="", help="score only the kinds whose name has this text")
    parser.add_argument("--worst", type=int, default=0, help="list the files the first reader did worst on")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), arguments.seed)
        run(Path(folder), arguments.reader or list(READERS), arguments.worst, arguments.only)


if __name__ == "__main__":
    main()
