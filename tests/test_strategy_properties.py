"""Strategies that replay events equal the slow reference, whatever the order of arrival and the batches."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import reference
from flowforge_assets.formats.file_options import FileOptions
from flowforge_assets.strategies.spec import Strategy
from flowforge_assets.table_spec import Column, TableSpec
from flowforge_resources.layout import TableId
from flowforge_resources.scratch import Scratch
from merging import Merged, as_bag

QUICK = settings(
    max_examples=int(os.environ.get("FLOWFORGE_TEST_EXAMPLES", "5")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Shrinking a failure takes minutes; an example this small can be read as it is.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
# Keys of two parts that meet, and whose texts joined meet.
KEYS = [("a", "bc"), ("ab", "c"), ("b", "")]
SPEC = TableSpec(
    id=TableId("w", "t"),
    files="*",
    file=FileOptions(),
    columns=(
        Column(name="k1"),
        Column(name="k2", type="integer"),
        Column(name="a", type="integer"),
        Column(name="b"),
        Column(name="s", type="integer"),
        Column(name="u", type="integer"),
        Column(name="op"),
    ),
    keys=("k1", "k2"),
    sequence_by=("s", "u"),
    surrogate_key="t_key",
    strategy=Strategy(delete_when="op = 'D'", except_columns=("op",)),
)


def scd2(**options: Any) -> TableSpec:
    return replace(SPEC, strategy=replace(SPEC.strategy, kind="scd2", version_key="t_version_key", **options))


@st.composite
def histories(draw: Any, *, truncates: bool = False, nulls: bool = True, parts: int = 2) -> list[dict[str, Any]]:
    """Events as they arrive, with the batch each comes in."""
    operations = ["", "", "", "", "D", *(["T"] if truncates else [])]
    sequences = st.integers(0, 5)
    first = st.one_of(st.none(), sequences) if nulls else sequences
    event = st.fixed_dictionaries(
        {
            "key": st.sampled_from([("a", "1"), ("a", "11"), ("b", "1")]),
            "a": st.sampled_from([None, 1, 2]),
            "b": st.sampled_from([None, "x", "y"]),
            "s": first,
            "u": st.one_of(st.none(), st.integers(0, 1)) if parts > 1 else st.none(),
            "op": st.sampled_from(operations),
            "opens_batch": st.booleans(),
        }
    )
    return draw(st.lists(event, min_size=1, max_size=14))


def batched(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = []
    for event in events:
        if not batches or event["opens_batch"]:
            batches.append([])
        batches[-1].append(event)
    return batches


def landed(event: dict[str, Any]) -> dict[str, Any]:
    row = {name: None if event[name] is None else str(event[name]) for name in ("a", "b", "s", "u", "op")}
    k1, k2 = event["key"] if event["op"] != "T" else (None, None)
    if event["op"] and event["a"] == 2:  # what is no value of its type matters to no delete, nor a key to a truncate
        row["a"], k2 = "0000-00-00", k2 or "none"
    return {"k1": k1, "k2": k2, **row}


def told(events: list[dict[str, Any]], parts: int = 2) -> list[dict[str, Any]]:
    operations = {"": reference.VALUES, "D": reference.DELETE, "T": reference.TRUNCATE}
    return [
        {**event, "operation": operations[event["op"]], "sequence": (event["s"], event["u"])[:parts]}
        for event in events
    ]


def merged(folder: Any, spec: TableSpec, events: list[dict[str, Any]]) -> Merged:
    table = Merged(folder, spec)
    for number, batch in enumerate(batched(events)):
        books = table.take(number, [[landed(event) for event in batch]])
        assert books.balances, str(books)
        if number % 2:  # the same batch again, as after a crash
            again = table.take(number, [[landed(event) for event in batch]])
            assert again.balances, str(again)
    return table


def scratch(factory: Any, name: str) -> Scratch:
    return Scratch(factory.getbasetemp() / name)


def shown(table: Merged, names: list[str]) -> list[str]:
    return as_bag(
        [{"key": (row["k1"], str(row["k2"])), **{name: row[name] for name in names}} for row in table.table()]
    )


def rows(expected: dict[Any, dict[str, Any]], names: list[str]) -> list[str]:
    return as_bag([{"key": key, **{name: row[name] for name in names}} for key, row in expected.items()])


FAR = 10**9
IGNORED = st.sampled_from([(), ("a",), ("a", "b"), ("a", "b", "s", "u")])
VALUES = ["a", "b", "s", "u"]


@QUICK
@given(events=histories(truncates=True), hidden=st.booleans(), ignored=IGNORED)
def test_an_upsert_of_changes_is_the_references(
    tmp_path_factory: Any, events: list[dict[str, Any]], hidden: bool, ignored: tuple[str, ...]
) -> None:
    strategy = replace(
        SPEC.strategy,
        truncate_when="op = 'T'",
        ignore_null=ignored,
        except_columns=("op", "s", "u") if hidden else ("op",),
    )
    names = ["a", "b"] if hidden else VALUES
    with scratch(tmp_path_factory, "upsert") as place:
        table = merged(place.folder, replace(SPEC, strategy=strategy), events)
        expected = reference.upserted(told(events), names, ignored)
        assert shown(table, names) == rows(expected, names)


@QUICK
@given(
    events=histories(nulls=False),
    ignored=IGNORED,
    tracked=st.sampled_from([None, ("a",), ("b",), ("a", "b", "s")]),
    parts=st.integers(1, 2),
    hidden=st.booleans(),
)
def test_a_history_of_changes_is_the_references(
    tmp_path_factory: Any,
    events: list[dict[str, Any]],
    ignored: tuple[str, ...],
    tracked: tuple[str, ...] | None,
    parts: int,
    hidden: bool,
) -> None:
    if hidden and tracked == ("a", "b", "s"):
        tracked = None
    names = ["a", "b"] if hidden else VALUES
    except_columns = ("op", "s", "u") if hidden else ("op",)
    spec = scd2(ignore_null=ignored, tracked=tracked, except_columns=except_columns)
    spec = replace(spec, sequence_by=SPEC.sequence_by[:parts])
    if parts == 1 and tracked is None:
        spec = replace(spec, strategy=replace(spec.strategy, tracked=("a", "b")))
    with scratch(tmp_path_factory, "scd2") as place:
        table = merged(place.folder, spec, events)
        expected = reference.versions(told(events, parts), names, list(spec.strategy.tracked or ("a", "b")), ignored)
        flat = [{"key": key, **one} for key, found in expected.items() for one in found]
        columns = [*names, "valid_from", "valid_to"]
        assert shown(table, columns) == as_bag([{"key": one["key"], **{n: one[n] for n in columns}} for one in flat])
        assert len({row["t_version_key"] for row in table.table()}) == len(table.table())
        assert all(row["is_current"] is (row["valid_to"] is None) for row in table.table())


EXTRACT = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from([("a", "1"), ("a", "11"), ("b", "1"), ("c", "1")]),
            "a": st.sampled_from([None, 1, 2]),
            "b": st.sampled_from([None, "x", "y"]),
            "s": st.integers(0, 5),
            "u": st.sampled_from([None, 0, 1]),
            "op": st.sampled_from(["", "", "", "D"]),
        }
    ),
    max_size=5,
)


@QUICK
@given(
    extracts=st.lists(EXTRACT, min_size=1, max_size=5),
    at_once=st.booleans(),
    scope=st.sampled_from([None, "b"]),
    sequence=st.sampled_from([(), ("s",), ("s", "u")]),
    ignored=st.sampled_from([(), ("a",)]),
)
def test_full_extracts_one_after_another_are_the_references(
    tmp_path_factory: Any,
    extracts: list[list[dict[str, Any]]],
    at_once: bool,
    scope: str | None,
    sequence: tuple[str, ...],
    ignored: tuple[str, ...],
) -> None:
    strategy = replace(SPEC.strategy, delete_absent="delete", within=scope, ignore_null=ignored)
    upsert = replace(SPEC, sequence_by=sequence, strategy=strategy)
    history = replace(upsert, strategy=replace(strategy, kind="scd2", delete_absent="invalidate", version_key="v"))
    files = [[landed(one) for one in extract] for extract in extracts]
    batches = [files] if at_once else [[file] for file in files]
    model = [told(extract, len(sequence)) for extract in extracts]
    expected = rows(reference.extracted(model, ["a", "b"], scope, ignored), ["a", "b"])
    # A row older than the one its key came back with fills that one's nulls, or lands in the history before it.
    for spec in (upsert,) if ignored else (upsert, history):
        with scratch(tmp_path_factory, "extracts") as place:
            table = Merged(place.folder, spec)
            for number, batch in enumerate(batches):
                books = table.take(number, batch)
                assert books.balances, str(books)
            current = [row for row in table.table() if row.get("is_current", True)]
            names = ("k1", "k2", "a", "b")
            assert (
                as_bag([{"key": (one["k1"], str(one["k2"])), **{n: one[n] for n in names[2:]}} for one in current])
                == expected
            )
            for key in {(row["k1"], row["k2"]) for row in table.table()} if spec is history else ():
                spans = sorted(
                    (row["valid_from"], row["valid_to"] or getattr(row["valid_from"], "max", FAR))
                    for row in table.table()
                    if (row["k1"], row["k2"]) == key
                )
                assert all(start < end for start, end in spans)
                assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


@QUICK
@given(events=histories(parts=1))
def test_without_a_sequence_the_arrival_counts(tmp_path_factory: Any, events: list[dict[str, Any]]) -> None:
    plain = replace(SPEC, sequence_by=())
    history = replace(scd2(tracked=("a", "b")), sequence_by=())
    arrived = [{**one, "sequence": (place,)} for place, one in enumerate(told(events))]
    with scratch(tmp_path_factory, "arrival") as place:
        table = Merged(place.folder, plain)
        versions = Merged(place.folder / "versions", history)
        versions.folder.mkdir()
        for number, batch in enumerate(batched(events)):
            rows_landed = [landed(event) for event in batch]
            assert table.take(number, [rows_landed]).balances
            assert versions.take(number, [rows_landed]).balances
        assert table.state is None
        assert versions.state is None
        assert shown(table, VALUES) == rows(reference.upserted(arrived, VALUES), VALUES)
        expected = reference.versions(arrived, VALUES, ["a", "b"])
        flat = as_bag([{"key": key, **{n: one[n] for n in VALUES}} for key, found in expected.items() for one in found])
        assert shown(versions, VALUES) == flat
