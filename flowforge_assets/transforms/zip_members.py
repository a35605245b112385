"""The members of a zip under one header: each is a file of the table by itself, whatever the others are like.

Belongs here: naming each member's columns as if it had landed alone. Does not: reading them (`formats.read_file`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge_assets.transforms.columns import named
from flowforge_resources.errors import BadFileError

if TYPE_CHECKING:
    from flowforge_assets.formats.file_read import FileRead
    from flowforge_assets.table_spec import TableSpec


def under_one_header(file: str, read: FileRead, spec: TableSpec, known: frozenset[str]) -> FileRead:
    """A zip of several files whose members may spell and order their columns differently, or have no header.

    Raises:
        BadFileError: a member with columns lacks one of the key: a README, or another table's file.
    """
    from flowforge_assets.formats.read_file import PartsOfOne

    if not isinstance(read, PartsOfOne):
        return read
    names = []
    for member, one in zip(read.members, read.reads, strict=True):
        try:
            names.append(named(file, one, spec, known) if one.columns else {})
        except BadFileError as error:
            raise BadFileError(file, f"in {member}, one of its files, {error.problem}", error.fix) from error
    return replace(read, names=tuple(names))
