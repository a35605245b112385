"""Answers kept on disk by content: what a query says about itself is asked at every start, and changes with the query.

An answer is found under a hash of everything it depends on: the question, the code of this package, and the versions of
sqlglot and DuckDB. A file that is cut short or altered fails its checksum and counts as absent; a folder that cannot be
written to costs time and nothing else. Two processes that write one answer write the same one, each by a rename.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowforge_assets.lineage import edges
from flowforge_resources import constants_in_sql, duck
from flowforge_resources.settings import user_cache

if TYPE_CHECKING:
    from collections.abc import Callable

DAYS_KEPT = 30
_DIGEST = 64


def remembered(question: list[Any], answer: Callable[[], Any]) -> Any:
    """The answer to a question, from disk where it was asked before; both are what JSON can hold.

    An exception of `answer` is raised and not remembered.
    """
    asked = json.dumps([_engines(), question], sort_keys=True)
    file = user_cache() / "model_sql" / f"{sha256(asked.encode()).hexdigest()}.json"
    known = _read(file)
    if known is not None:
        return known[0]
    found = answer()
    _write(file, json.dumps([found]))
    return json.loads(json.dumps(found))


@lru_cache(maxsize=1)
def _engines() -> str:
    """Changes with the code that answers, ours and theirs."""
    answering = [Path(edges.__file__), Path(constants_in_sql.__file__), Path(duck.__file__)]
    own = [*sorted(Path(__file__).parent.glob("*.py")), *answering]
    code = sha256(b"".join(file.read_bytes() for file in own)).hexdigest()
    return f"{code} {[_version(package) for package in ('sqlglot', 'duckdb')]}"


def _version(package: str) -> str:
    """By the name of the installed folder: reading its metadata costs several times as much."""
    folders = (Path(folder) for folder in dict.fromkeys(sys.path) if folder.endswith("-packages"))
    found = (file.name for folder in folders for file in folder.glob(f"{package}-*.dist-info"))
    return next(found, None) or version(package)


def _read(file: Path) -> list[Any] | None:
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    digest, text = content[:_DIGEST], content[_DIGEST:]
    if sha256(text.encode()).hexdigest() != digest:
        return None
    found: list[Any] = json.loads(text)
    return found


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(f"{file.name}.{uuid4().hex}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(sha256(text.encode()).hexdigest() + text, encoding="utf-8")
        unfinished.replace(file)
        _forget_old(file.parent)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()


def _forget_old(folder: Path) -> None:
    """Remove answers that were written long ago; one that is still asked for is written again."""
    oldest = time() - DAYS_KEPT * 86_400
    for file in folder.iterdir():
        if file.stat().st_mtime < oldest:
            file.unlink(missing_ok=True)
