"""Blocks with few quotes are counted by their bytes and others by bits: what is proven is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.formats import csv_proof
from flowforge_assets.formats.csv_detect import detect
from flowforge_assets.formats.csv_proof import Proof, prove
from flowforge_assets.formats.csv_source import Source

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

REGULAR = ["1,x", '2,"a, b"', '3,"say ""y"""', '4,""', '5,"two\nlines"', '6,"\n"', '"7","x"', '8,","']
ODD = ['1,x"y', '2,"x" y', '3,"x', "4,x,y", "5", "", "'6','x'", "id,name", '7,""x', '8,x\r\n9,"y"']
DIALECT = detect(b"id,name\n" + b'1,x\n2,"y"\n' * 9)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from(REGULAR), max_size=40),
    odd=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(ODD)), max_size=1),
    end=st.sampled_from(["\n", ""]),
    chunk_bytes=st.sampled_from([16, 64, 300]),
)
def test_few_quotes_prove_what_many_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    odd: list[tuple[int, str]],
    end: str,
    chunk_bytes: int,
) -> None:
    monkeypatch.setattr(csv_proof, "CHUNK_BYTES", chunk_bytes)
    path = tmp_path / "items.csv"
    for place, line in odd:
        lines.insert(place, line)
    path.write_bytes(("\n".join(["id,name", *lines]) + end).encode())
    proofs = []
    for most_inside in (1, 10_000):  # all bytes of a block may stand inside quotes; none
        monkeypatch.setattr(csv_proof, "MOST_INSIDE", most_inside)
        proofs.append(prove(Source(path), DIALECT))
    assert proofs[0] == proofs[1]
    if not odd:
        text = path.read_text()
        assert proofs[0] == Proof(
            lines=len(text.splitlines()),
            records=1 + len(lines),
            quoted='"' in text,
            ascii_blanks=True,
            content_hash=proofs[0].content_hash if proofs[0] else "",
        )
