"""`flowforge land`: whole or not at all, and under no name that nobody would read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowforge_assets.catalog import UnknownNameError, declared_workflows
from flowforge_assets.cli import land as command
from flowforge_assets.cli.land import AlreadyLandedError, land_files

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

YAML = """
type: flowforge_assets.components.Table
attributes:
  name: items
  files: "*"
---
type: flowforge_assets.components.Table
attributes:
  name: sales
  files: "*.csv"
  ignore: [old_*]
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to land, in a project of two tables."""
    (tmp_path / "defs/shop").mkdir(parents=True)
    (tmp_path / "defs/shop/defs.yaml").write_text(YAML)
    declared = declared_workflows(tmp_path / "defs")
    monkeypatch.setattr(command, "declared_workflows", lambda: declared)
    (tmp_path / "a b%ü.csv").write_text("id\n1\n")
    return tmp_path / "a b%ü.csv"


def test_a_file_lands_once_and_is_replaced_only_when_asked(lake: Lake, source: Path) -> None:
    landed = [land_files([source], workflow=None, table="items")[0].uploaded for _ in range(2)]
    assert landed == [True, False]
    source.write_text("id\n2\n")
    with pytest.raises(AlreadyLandedError, match="Nothing was uploaded"):
        land_files([source], workflow=None, table="items")
    assert all(land_files([source], workflow="shop", table="items", replace=True)[0].uploaded for _ in range(2))
    assert lake.read("landing/shop/items/a b%ü.csv") == b"id\n2\n"


@pytest.mark.parametrize(
    ("table", "name", "said"),
    [
        ("items", "_a.csv", r"matches `_\*`, which shop\.items ignores"),
        ("sales", "old_a.csv", r"matches `old_\*`"),
        ("items", "a/_tmp/x.csv", r"matches `_\*`, which shop\.items ignores"),
        ("sales", "a.txt", r"does not match `\*\.csv`.* It fits items"),
        ("salse", "a.csv", "Did you mean 'sales'"),
    ],
)
def test_what_nobody_would_read_is_not_uploaded(lake: Lake, source: Path, table: str, name: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match=said) as refused:
        land_files([source], workflow=None, table=table, rename=name)
    assert "Nothing was uploaded" in str(refused.value)
    assert not list(lake.objects("landing/"))
