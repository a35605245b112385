"""Names of checks, of which Dagster takes letters, digits and `_` alone, while columns are named in any way."""

from __future__ import annotations

import re
from hashlib import md5
from unicodedata import normalize

_HASH_LETTERS = 6


def as_check_name(said: str) -> str:
    """A name that Dagster takes: `capital-gain` becomes `capital_gain`, `größe` `grosse`; the same for the same text.

    Letters without a Latin base are told apart by a hash behind the name; two names that differ in blanks and
    punctuation alone become one, which definitions refuse by name.
    """
    apart = normalize("NFKD", said.replace("ß", "ss"))
    name = re.sub(r"[^A-Za-z0-9_]+", "_", "".join(one for one in apart if one.isascii() or one.isalnum()))
    lost = any(one.isalnum() and not one.isascii() for one in apart)
    return f"{name}_{md5(said.encode(), usedforsecurity=False).hexdigest()[:_HASH_LETTERS]}" if lost else name
