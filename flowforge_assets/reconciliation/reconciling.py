"""Evaluating a reconciliation: of published tables by a check of its own, of a staged model before it is published.

Belongs here: the asset check, and one evaluation with its history. Does not: comparing (`flowforge_checks.reconciliation`).

Dagster wants the type itself, not its name, on a check's `context`: no postponed annotations in this module.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from flowforge_assets.gates.own import OwnGate
from flowforge_assets.reconciliation.sides import Place, Sides, SideSpec
from flowforge_checks.holding import GateGraph
from flowforge_checks.reconciliation.findings import Compared, outcome_of
from flowforge_checks.reconciliation.measures import compare_measures
from flowforge_checks.reconciliation.row_diff import compare_rows
from flowforge_checks.reconciliation.spec import Reconciliation
from flowforge_checks.results import Outcome
from flowforge_resources.duck import connect
from flowforge_resources.errors import PermanentError
from flowforge_resources.lake import Lake
from flowforge_resources.layout import ModelId, TableId
from flowforge_resources.reconciliation_history import keep_result
from flowforge_resources.retries import clear_failure

PREFIX = "reconcile_"
# Findings of one evaluation that its history keeps; those that disagree first.
KEPT = 1000


class ReconciliationError(PermanentError):
    """DuckDB cannot ask what is declared."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(
            f"reconciliation '{name}' cannot be evaluated: {problem} No table changed. Correct its columns, conditions or SQL."
        )


@dataclass(frozen=True)
class Reconciled:
    """A reconciliation with its sides. `judges`: the asset whose check it is."""

    spec: Reconciliation
    left: SideSpec
    right: SideSpec
    judges: Place
    description: str | None = None

    @property
    def check(self) -> str:
        """Name of the check."""
        return f"{PREFIX}{self.spec.name}"

    @property
    def stages(self) -> bool:
        """Whether it is asked of the model before that is published: where it blocks."""
        return self.spec.blocks and isinstance(self.judges.table, ModelId)

    @property
    def about(self) -> str:
        """The check in the UI."""
        said = ", ".join(f"`{one.label}`" for one in self.spec.measures)
        names = [side.name or "a query" for side in (self.left, self.right)]
        return " ".join(filter(None, [self.description, f"{names[1]} agrees with {names[0]} in {said}."]))


def evaluate(
    lake: Lake, one: Reconciled, run_id: str, staged: Mapping[TableId | ModelId, Path] | None = None
) -> tuple[Compared, Outcome]:
    """Compare the sides and keep what was found.

    Args:
        lake: where the tables are.
        one: what is compared.
        run_id: of the run that asks, or who else does.
        staged: local files of tables that are not to be read from the lake.

    Raises:
        MissingTableError: a side was never published.
        ReconciliationError: a side lacks a column, or a condition is none.
    """
    import duckdb

    with lake.scratch() as scratch, connect(scratch.root) as connection, ExitStack() as opened:
        sides = Sides(lake, connection, scratch, staged or {}, opened)
        try:
            left, right = sides.open(one.left), sides.open(one.right)
            found = compare_measures(one.spec, left, right) + compare_rows(connection, one.spec, left, right)
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
            raise ReconciliationError(one.spec.name, str(error).splitlines()[0]) from None
        except duckdb.ConversionException as error:
            # Its text holds the value.
            raise ReconciliationError(one.spec.name, f"{type(error).__name__} while comparing values.") from None
    rows = [each.row() for each in found.ordered()[:KEPT]]
    keep_result(lake, one.spec.workflow, one.spec.name, rows, run_id=run_id, agrees=found.agrees)
    return found, outcome_of(one.spec, one.check, found)


def build_check(one: Reconciled, graph: GateGraph) -> dg.AssetChecksDefinition:
    """The check, as a step of its own behind both sides. Where it blocks, it shuts and opens the gate of what it judges."""
    judged = dg.AssetKey(one.judges.asset)
    others = {dg.AssetKey(place.asset) for side in (one.left, one.right) for place in side.places.values()}
    spec = dg.AssetCheckSpec(
        one.check,
        asset=judged,
        description=one.about,
        blocking=one.spec.blocks,
        additional_deps=sorted(others - {judged}),
    )

    @dg.multi_asset_check(name=f"{one.spec.workflow}__{one.check}", specs=[spec], required_resource_keys={"lake"})
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        lake: Lake = context.resources.lake.open()
        with clear_failure(context.retry_number):
            _, outcome = evaluate(lake, one, context.run.run_id)
        gate = OwnGate(lake, judged, graph, context.run.run_id)
        (outcome,) = gate.waived([outcome])
        gate.settle_apart([outcome])
        yield outcome.result(judged)

    return check
