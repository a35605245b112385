"""How a run's files are named where a person reads of them: some by name, the others counted. The ledger has them all.

A run may take ten thousand files; an event that names each is megabytes that the UI loads to show a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowforge_assets.formats.csv_account import CsvAccount

SHOWN, NAMED = 50, 3
_OF_SEVERAL = {"brings": "bring", "lacks": "lack", "no longer has": "no longer have"}


def sentences(said: Iterable[tuple[str, str]]) -> list[str]:
    """Statements about files (key, what it `brings`, `lacks` or `no longer has`), each once, with the first files it is true of."""
    files: dict[str, list[str]] = {}
    for key, what in said:
        files.setdefault(what, []).append(key)
    return [f"{some_names(keys)} {what if len(keys) == 1 else _of_several(what)}" for what, keys in files.items()]


def _of_several(what: str) -> str:
    verb = next(verb for verb in _OF_SEVERAL if what.startswith(verb))
    return what.replace(verb, _OF_SEVERAL[verb], 1)


def some_names(names: Sequence[str], most: int = NAMED) -> str:
    """The first names, e.g. of files, the others counted."""
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest:,} more"


def accounts_shown(accounts: Mapping[str, CsvAccount], names: Sequence[str]) -> list[dict[str, str | int]]:
    """Files' accounts as rows: the first files, those with something unusual first, then one row for all others."""
    unusual = sorted(accounts, key=lambda key: accounts[key].rows + accounts[key].header == accounts[key].lines)
    shown, rest = set(unusual[:SHOWN]), unusual[SHOWN:]
    rows: list[dict[str, str | int]] = [
        {"file": key, **{name: getattr(account, name) for name in names}}
        for key, account in accounts.items()
        if key in shown
    ]
    if rest:
        total = {name: sum(getattr(accounts[key], name) for key in rest) for name in names}
        rows.append({"file": f"{len(rest):,} more files", **total})
    return rows
