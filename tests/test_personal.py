"""Personal data is followed through transforms: what is made of it is hidden, and what becomes it too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from flowforge_assets.components.known import known_tables
from flowforge_assets.preview import HIDDEN, preview_of_text
from flowforge_assets.quarantine.waiting import hidden_columns
from flowforge_assets.table_spec import Column, Routed, TableSpec
from flowforge_assets.transforms.computing import Route
from flowforge_resources.layout import ModelId
from scenario import land, load, metadata, run_well
from transforming import table

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake


def people(steps: list[dict[str, Any]], *columns: Column, landed: tuple[str, ...] = ()) -> TableSpec:
    """A table of these columns and transforms."""
    return replace(table(steps, [column.name for column in columns]), columns=columns, landed_columns=landed)


def test_what_is_made_of_personal_data_is_personal() -> None:
    steps = [
        {"transform": "split", "column": "full", "by": " ", "into": ["first", "last"]},
        {"transform": "concatenate", "columns": ["first", "city"], "into": "label", "separator": ", "},
        {"transform": "derive", "column": "initial", "sql": "left(last, 1)"},
        {"transform": "derive", "column": "digest", "sql": "full"},
        {"transform": "hash", "columns": ["digest"]},
        {"transform": "derive", "column": "town", "sql": "upper(city)"},
        {"transform": "derive", "column": "letters", "sql": "length(full)::VARCHAR"},
    ]
    made = ("city", "first", "last", "label", "initial", "digest", "town")
    spec = people(
        steps, Column(name="full", pii=True), *(Column(name=one) for one in made), Column(name="letters", pii=False)
    )
    assert spec.pii == {"full", "first", "last", "label", "initial"}
    assert spec.landed_pii == {"full"}
    assert hidden_columns(spec) == spec.pii


def test_what_becomes_personal_data_is_hidden_as_it_landed(tmp_path: Path) -> None:
    steps = [
        {"transform": "split", "column": "Name", "by": " ", "into": ["given", "rest"]},
        {"transform": "rename", "columns": {"rest": "family"}},
    ]
    family = Column(name="family", pii=True)
    spec = people(steps, Column(name="id"), Column(name="given"), family, landed=("Name",))
    assert spec.landed_pii == {"Name"}
    assert spec.pii == {"family", "given"}, "both are of the same text"
    assert hidden_columns(spec) == {"Name", "family", "given"}
    pl.DataFrame({"id": ["1"], "Name": ["Ann Lee"]}).write_parquet(tmp_path / "bronze.parquet")
    assert "Ann" not in preview_of_text(tmp_path / "bronze.parquet", spec)

    shown = people(steps, Column(name="id"), Column(name="given", pii=False), family, landed=("Name",))
    assert shown.pii == {"family"}


def test_a_declared_column_that_goes_into_personal_data_is_hidden_in_bronze_but_not_in_silver(tmp_path: Path) -> None:
    steps = [{"transform": "concatenate", "columns": ["street", "city"], "into": "address", "separator": ", "}]
    spec = people(steps, Column(name="street"), Column(name="city", pii=False), Column(name="address", pii=True))
    assert (spec.pii, spec.landed_pii) == ({"address"}, {"street"})
    pl.DataFrame({"street": ["Elm 1"], "city": ["Bonn"]}).write_parquet(tmp_path / "bronze.parquet")
    shown = preview_of_text(tmp_path / "bronze.parquet", spec)
    assert "Elm" not in shown
    assert HIDDEN in shown
    assert "Bonn" in shown


def test_personal_data_of_other_tables_is_followed_too() -> None:
    lookup = {"transform": "lookup", "table": "owners", "keys": ["id"], "take": ["phone", "city"]}
    owners = (Column(name="id"), Column(name="phone", pii=True), Column(name="city"))
    looked = replace(
        people([lookup], *(Column(name=one) for one in ("id", "phone", "city"))), lookups={"owners": owners}
    )
    assert looked.pii == {"phone"}
    assert looked.landed_pii == frozenset()

    route = Route(transform="route", where="id > '1'", to="routed")
    source = people(
        [{"transform": "rename", "columns": {"mail": "email"}}],
        Column(name="id"),
        Column(name="email", pii=True),
        landed=("mail",),
    )
    source = replace(source, transforms=(*source.transforms, route))
    routed = replace(
        people([], Column(name="id"), Column(name="contact", source="email")), routed=Routed(source, 1, route)
    )
    assert (routed.pii, routed.landed_pii) == ({"contact"}, {"mail"})


MODELS = """
    type: flowforge_assets.components.Workflow
    attributes: {description: People.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: people
      columns: [{name: id}, {name: email, pii: true}, {name: age, type: integer, pii: true}, {name: city}]
      keys: [id]
    ---
    type: flowforge_assets.components.Model
    attributes: {name: dim_person, not_pii: [decade]}
    ---
    type: flowforge_assets.components.Model
    attributes: {name: by_city}
"""
SQL = {
    "dim_person": "SELECT id, lower(email) AS mail, age // 10 AS decade, age, city FROM people",
    "by_city": "SELECT city, count(DISTINCT mail) AS people, min(mail) AS first_mail, avg(age) AS age FROM dim_person GROUP BY city",
}


def test_models_carry_it_on_but_not_what_is_counted(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, MODELS, "people", **SQL)
    assert defs.component_tree is not None
    known = known_tables(defs.component_tree)
    assert known.personal(ModelId("people", "dim_person")) == {"mail", "age"}
    assert known.personal(ModelId("people", "by_city")) == {"first_mail"}
    land(lake, "people", {"people/1.csv": "id,email,age,city\n1,Ann@x.org,44,Bonn\n"})
    said = metadata(run_well(defs, "people"), "dim_person")
    assert "ann@x.org" not in str(said)
    assert "Bonn" in str(said)
