"""Whatever lands, is decided and is run in whatever order: a row is in one place, and the table is what a slow reference says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_checks.statements import Statement
from flowforge_resources.decisions import Decision
from flowforge_resources.lake import Lake
from flowforge_resources.layout import utc_now
from flowforge_resources.quarantine_decisions import DecidedRow, read_decisions, record
from partitioned_table import DAILY, Driven, spec_of
from scenario import rows_of

if TYPE_CHECKING:
    from flowforge_assets.table_spec import TableSpec

DAYS = ("2026-01-01", "2026-01-02")
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from("ab"), "day": st.sampled_from(DAYS), "n": st.sampled_from(["-2", "-1", "1", "2"])}
    ),
    min_size=1,
    max_size=3,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("land"), ROWS),
        st.tuples(st.sampled_from(["fix", "waive", "discard", "release", "restore"]), st.integers(0, 9)),
        st.tuples(st.just("run"), st.just(0)),
        st.tuples(st.just("replay"), st.just(0)),
    ),
    min_size=3,
    max_size=9,
)
KINDS = {
    "upsert": spec_of("t", None),
    "by arrival": spec_of("t", None, ordered=False),
    "in partitions": spec_of("t", DAILY),
}
RULE = KINDS["upsert"].rules[0]
PRINT = Statement(
    RULE.check_name, "n", "", "quarantine", "error", RULE.message, RULE.demand.replace("`", "")
).fingerprint


class Told:
    """A table, and what the slow reference remembers of everything that was said to it."""

    def __init__(self, lake: Lake, spec: TableSpec) -> None:
        self.driven = Driven(lake, spec)
        self.landed: list[dict[str, str]] = []
        self.rulings: dict[tuple[str, ...], dict[str, Any]] = {}

    def do(self, step: str, said: Any) -> None:
        if step == "land":
            self.driven.land(said)
            self.landed += said
        elif step == "run":
            self.run()
        elif step == "replay":
            *others, last = self.driven.spec.columns
            other = last.model_copy(update={"aliases": () if last.aliases else ("moment",)})
            self.driven.spec = replace(self.driven.spec, columns=(*others, other))
        else:
            self.decide(step, said)

    def run(self) -> None:
        """A run, whose books balance; what it finds for new is nothing when it is done again."""
        batch = self.driven.batch()
        if batch.published is None or not batch.brings_nothing:
            with self.driven.lake.scratch() as scratch:
                self.driven.publish(self.driven.stage(batch, scratch))
        assert self.driven.batch().brings_nothing

    def decide(self, action: Any, number: int) -> None:
        if action == "restore":
            self.restore(number)
            return
        waits = sorted(rows_of(self.driven.lake, self.driven.spec.id.quarantine), key=lambda row: row["_quarantine_id"])
        ruled = {row["_quarantine_id"]: self.rulings.get(content(row), {}) for row in waits}
        waits = [row for row in waits if not ruled[row["_quarantine_id"]].get("discarded")]
        if not waits:
            return
        row = waits[number % len(waits)]
        mine = self.rulings.setdefault(content(row), {"planned": {}, "counts": {}, "discarded": False})
        entry = DecidedRow(
            row["_quarantine_id"],
            fixes={"n": str(number)} if action == "fix" else {},
            waives={RULE.check_name: PRINT} if action == "waive" else {},
        )
        said = (action, [entry], Decision("ann", "why not", utc_now()))
        record(self.driven.lake, self.driven.spec.id, lambda _: said)
        if action == "fix":
            mine["planned"] = {**mine["planned"], "n": number}
        elif action == "waive":
            mine["planned"] = {**mine["planned"], "waived": True}
        elif action == "discard":
            mine["discarded"] = row["_quarantine_id"]
        else:
            mine["counts"], mine["discarded"] = mine["planned"], False

    def restore(self, number: int) -> None:
        gone = [one for one in self.rulings.values() if one["discarded"]]
        if gone:
            mine = gone[number % len(gone)]
            said: Any = ("restore", [DecidedRow(mine["discarded"])], Decision("ann", "after all", utc_now()))
            record(self.driven.lake, self.driven.spec.id, lambda _: said)
            mine["discarded"] = False

    def expected(self) -> tuple[dict[str, int], int]:
        """What the table holds, by key; and how many landings wait."""
        table: dict[str, int] = {}
        waiting = 0
        for row in self.landed:
            ruling = self.rulings.get(content(row), {"counts": {}, "discarded": False})
            n = ruling["counts"].get("n", int(row["n"]))
            if ruling["discarded"]:
                continue
            if n < 0 and not ruling["counts"].get("waived"):
                waiting += 1
            elif not (self.driven.spec.sequence_by and n < table.get(row["id"], n)):
                table[row["id"]] = n
        return table, waiting


def content(row: Any) -> tuple[str, ...]:
    return row["id"], row["day"], row["n"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(list(KINDS)), steps=STEPS)
def test_any_history_of_decisions_gives_the_table_of_the_reference(
    tmp_path_factory: Any, kind: str, steps: list[tuple[str, Any]]
) -> None:
    told = Told(Lake(str(tmp_path_factory.mktemp("told"))), KINDS[kind])
    for step, said in steps:
        told.do(step, said)
    told.run()
    table, waiting = told.expected()
    driven, quarantine = told.driven, told.driven.spec.id.quarantine
    assert {row["id"]: row["n"] for row in driven.rows()} == table
    held = rows_of(driven.lake, quarantine)
    assert sum(len(row["_landings"]) for row in held) == waiting
    assert len({row["_quarantine_id"] for row in held}) == len(held)
    anew = Driven(Lake(str(tmp_path_factory.mktemp("anew"))), driven.spec)
    copy_inputs(driven.lake, anew.lake)
    if anew.take() is not None:
        assert anew.rows() == driven.rows(), "made at once from bronze and decisions"
        assert {row["_quarantine_id"] for row in rows_of(anew.lake, quarantine)} == {
            row["_quarantine_id"] for row in held
        }
    assert [one.version for one in read_decisions(driven.lake, driven.spec.id)] == list(
        range(1, len(read_decisions(driven.lake, driven.spec.id)) + 1)
    )


def copy_inputs(source: Lake, target: Lake) -> None:
    """Bronze and decisions: all that a table is made of."""
    for prefix in ("bronze/", "quarantine/"):
        for found in source.objects(prefix):
            if "/_decisions/" in found.key or prefix == "bronze/":
                target.write(found.key, source.read(found.key) or b"")
