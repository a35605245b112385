"""What holds a table: every failed check that some way leads down from, unless an edge or a waiver stops it there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge_checks.holding import BLOCKING, UPSTREAM_GATE, Edge, GateGraph, GateReader
from flowforge_resources.decisions import Decision
from flowforge_resources.gates import FailedCheck, Gates, Held, Waiver, change_gates, read_gates
from flowforge_resources.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ASSETS = ("w/a", "w/b", "v/c", "v/d", "w/e")
CHECKS = ("books", "range")
WORDS = (*CHECKS, BLOCKING, UPSTREAM_GATE)
WAIVERS = st.builds(
    lambda asset, check, edge, hours: Waiver(
        asset, check, Decision("ada", "known", NOW - timedelta(days=1), NOW + timedelta(hours=hours)), edge
    ),
    st.sampled_from(ASSETS),
    st.sampled_from(CHECKS),
    st.sampled_from((None, *ASSETS)),
    st.sampled_from((-1, 1)),
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[Edge, ...]]:
    """Tables made from some of those before them, by edges that hold for whatever they name."""
    found = {}
    for place, asset in enumerate(ASSETS):
        above = draw(st.sets(st.sampled_from(ASSETS[:place]))) if place else set()
        named = st.one_of(st.none(), st.frozensets(st.sampled_from(WORDS)))
        edges = [(name, draw(named)) for name in sorted(above)]
        found[asset] = tuple(Edge(name) if checks is None else Edge(name, checks) for name, checks in edges)
    return found


@st.composite
def gates(draw: st.DrawFn) -> dict[str, Gates]:
    """Failed checks and waivers of two workflows."""
    found = {"w": Gates(), "v": Gates()}
    for asset, check in draw(st.sets(st.tuples(st.sampled_from(ASSETS), st.sampled_from(CHECKS)))):
        own = found[asset[0]]
        failed = FailedCheck(check, draw(st.booleans()), NOW.isoformat(), NOW.isoformat(), "run")
        found[asset[0]] = own.with_failed(asset, [*own.failed.get(asset, ()), failed])
    for waiver in draw(st.lists(WAIVERS, max_size=3)):
        own = found[waiver.asset[0]]
        found[waiver.asset[0]] = replace(own, waivers=(*own.waivers, waiver))
    return found


def ways(edges: Mapping[str, tuple[Edge, ...]], asset: str) -> Iterator[list[Edge]]:
    """Every way up from a table."""
    for edge in edges[asset]:
        yield [edge]
        yield from ([edge, *rest] for rest in ways(edges, edge.upstream))


def held_by(edges: Mapping[str, tuple[Edge, ...]], state: Mapping[str, Gates], asset: str) -> set[str]:
    """The definition, way by way."""
    found = set()
    for way in ways(edges, asset):
        upper = way[-1].upstream
        passed = [asset, *(edge.upstream for edge in way[:-1])]
        for failed in state[upper[0]].failed.get(upper, ()):
            counts = failed.check in way[-1].checks or (failed.blocking and BLOCKING in way[-1].checks)
            let_down = all(UPSTREAM_GATE in edge.checks for edge in way[:-1])
            waived = any(
                (one.asset, one.check) == (upper, failed.check)
                and one.edge in (None, *passed)
                and one.decision.until > NOW
                for one in state[upper[0]].waivers
            )
            if counts and let_down and not waived:
                found.add(f"{upper}:{failed.check}")
    return found


@settings(max_examples=150, deadline=None)
@given(edges=graphs(), state=gates())
def test_what_holds_a_table_is_what_some_way_leads_down_from(
    edges: dict[str, tuple[Edge, ...]], state: dict[str, Gates]
) -> None:
    class Known(GateReader):
        def __call__(self, workflow: str) -> Gates:
            return state[workflow]

    graph = GateGraph(lambda: edges)
    for asset in ASSETS:
        found = [one.name for one in graph.holds(asset, Known(None), NOW)]
        assert len(found) == len(set(found))
        assert set(found) == held_by(edges, state, asset)


@settings(max_examples=20, deadline=None)
@given(state=gates())
def test_gates_are_read_as_they_were_written(tmp_path_factory: object, state: dict[str, Gates]) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    for workflow, one in state.items():
        change_gates(lake, workflow, lambda _, one=one: one)
        assert read_gates(lake, workflow) == one


def test_processes_that_change_the_gates_at_once_lose_nothing(lake: Lake) -> None:
    def hold(number: int) -> None:
        held = Held(NOW.isoformat(), "run", (f"w/a:{number}",))
        change_gates(lake, "w", lambda gates: gates.with_held(f"w/{number}", held))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(16)))
    assert set(read_gates(lake, "w").held) == {f"w/{number}" for number in range(16)}
