"""The YAML of a workflow: its job, its schedule and the sensor that watches its landing folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import dagster as dg
from pydantic import Field

from flowforge_assets import column_notes
from flowforge_assets.components.gold_part import GoldPart
from flowforge_assets.components.known import known_tables
from flowforge_assets.components.part import (
    AsWritten,
    History,
    Part,
    all_parts,
    as_written,
    eager,
    rendered,
    require_unique,
)
from flowforge_assets.components.sink import Sink
from flowforge_assets.components.table import Table
from flowforge_assets.gates.sensor import build_gate_sensor
from flowforge_assets.gold.published import GOLD_PUBLISHED, build_gold_published
from flowforge_assets.gold.warehouse import WAREHOUSE, Described, build_warehouse
from flowforge_assets.jobs import build_job, build_schedule
from flowforge_assets.maintenance import build_maintenance
from flowforge_assets.partitions.definitions import partitions_def
from flowforge_assets.profiling import build_profile_checks, build_profile_job
from flowforge_assets.quarantine.jobs import build_quarantine_job
from flowforge_assets.quarantine.sensor import build_release_sensor
from flowforge_assets.quarantine.trail import QUARANTINE_DECISIONS, build_trail
from flowforge_assets.reconciliation.sides import Place
from flowforge_assets.running.executor import STEPS_AT_ONCE
from flowforge_assets.sensors import build_automation_sensor, build_landing_sensor
from flowforge_checks.holding import UPSTREAM_GATE
from flowforge_checks.profile.drift import DriftLimits
from flowforge_resources.layout import ModelId, TableId
from flowforge_resources.notifications import Notifications

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from flowforge_assets.components.known import KnownTables
    from flowforge_assets.jobs import AnyJob
    from flowforge_assets.table_spec import TableSpec


@dataclass(frozen=True)
class _Members:
    """The documents of a workflow; `specs`: its tables as they are run."""

    tables: list[Table]
    models: list[GoldPart]
    sinks: list[Sink]
    specs: list[TableSpec]

    @property
    def typed(self) -> list[Table]:
        """Those with a silver table."""
        return [part for part in self.tables if part.columns]


@dataclass(frozen=True)
class _Scheduled:
    """A job and its cron expression. `field`: where that is written."""

    field: str
    cron: str
    job: AnyJob
    about: str


class Workflow(Part):
    """The tables of this folder as one job, with what starts it."""

    description: str | None = Field(default=None, description="What the workflow is for; shown with its job.")
    schedule: str | None = Field(
        default=None, description="Cron expression of a run of the whole workflow.", examples=["0 6 * * *"]
    )
    timezone: str = Field(default="UTC", description="Time zone of the schedule.")
    sensor_interval_s: int = Field(
        default=30,
        ge=5,
        description="Seconds between two looks of its sensors: at the landing folder, at what eager tables read, at what is held.",
    )
    autostart: bool = Field(default=True, description="Whether sensor and schedule run as soon as the daemon does.")
    max_attempts: int = Field(
        default=3,
        ge=1,
        description="Runs the sensor requests for the same new files before it leaves them to a person.",
    )
    max_keys_per_tick: int = Field(
        default=100_000,
        ge=1,
        description="Landing objects one look goes through; the next look goes on behind them, round after round. 1,000 cost one request.",
    )
    notifications: Annotated[AsWritten[Notifications] | None, rendered(Notifications)] = Field(
        default=None,
        description="A queue that tells of new files, so that landing is listed now and then only. Default: landing is listed at each look.",
    )
    executor: Literal["in_process", "multiprocess"] = Field(
        default="in_process",
        description="`in_process` runs steps in threads of one process, small workflows in seconds; `multiprocess` starts a process a step, at a second or so each.",
    )
    max_concurrent: int = Field(
        default=STEPS_AT_ONCE, ge=1, description="Steps of a run at once; 1 runs one after the other."
    )
    warehouse: bool = Field(
        default=False,
        description="Whether every run that changed a table also writes `gold/<workflow>/warehouse.duckdb`: all silver and gold tables in one DuckDB database.",
    )

    history: History = Field(
        default=None,
        description="Which earlier versions of its tables are kept, unless a table says otherwise. Default: `{keep_last: 10}`.",
    )
    maintenance: str | None = Field(
        default=None,
        description="Cron expression of the job `<workflow>_maintenance`, which compacts bronze and removes what no table needs. Default: there is none; `flowforge compact` and `flowforge sweep` do the same.",
        examples=["0 3 * * 0"],
    )

    profile: str | None = Field(
        default=None,
        description="Cron expression of the job `<workflow>_profile`, which profiles every silver and gold table and says what changed: the check `profile_drift`. Default: there is none; `flowforge profile` shows one table.",
        examples=["0 4 * * *"],
    )
    profile_drift: Annotated[AsWritten[DriftLimits] | None, as_written(DriftLimits | None)] = Field(
        default=None,
        description="How much a column may change from one profile to the next. Default: as documented there.",
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The job, the sensors and the schedules."""
        of = self._members(context)
        known = known_tables(context.component_tree)
        profiled = self._profiled(of, known) if self.profile is not None else None
        job = self._job(of, profiled)
        known.require_order()
        beside = list(self._beside(of, profiled))
        about = f"Runs the whole workflow {self.workflow}: tables whose inputs did not change are left as they are."
        main = [_Scheduled("schedule", self.schedule, job, about)] if self.schedule is not None else []
        return dg.Definitions(
            assets=[*self._sets(of, known), *([build_trail(self.workflow)] if of.tables else [])],
            asset_checks=[profiled] if profiled else [],
            jobs=[
                job,
                *([build_quarantine_job(self.workflow, of.specs)] if of.tables else []),
                *(one.job for one in beside),
            ],
            sensors=list(self._sensors(of, job, known)),
            schedules=[self._schedule_of(one) for one in (*main, *beside)],
        )

    def _members(self, context: dg.ComponentLoadContext) -> _Members:
        tables = [part for part in all_parts(context, Table) if part.workflow == self.workflow]
        models = [part for part in all_parts(context, GoldPart) if part.workflow == self.workflow]
        sinks = [part for part in all_parts(context, Sink) if part.workflow == self.workflow]
        require_unique([*tables, *models, *sinks])
        workflows = [part for part in all_parts(context, Workflow) if part.workflow == self.workflow]
        self._validate(tables, models, workflows)
        by_name = {part.name: part for part in tables}
        return _Members(tables, models, sinks, [part.spec(by_name, self.history) for part in tables])

    def _job(self, of: _Members, profiled: dg.AssetChecksDefinition | None) -> UnresolvedAssetJobDefinition:
        """Every asset, without the checks that other jobs and the gates evaluate."""
        gated = [
            *(spec.id.silver_key for spec in of.specs if spec.columns),
            *((self.workflow, part.name) for part in (*of.models, *of.sinks)),
            *([(self.workflow, GOLD_PUBLISHED)] if of.models else []),
            *([(self.workflow, WAREHOUSE)] if self.warehouse else []),
        ]
        return build_job(
            self.workflow,
            self.description,
            self.executor,
            self.max_concurrent,
            partitionings=len({way for spec in of.specs if (way := partitions_def(spec)) is not None}),
            without=[
                *(dg.AssetCheckKey(dg.AssetKey(key), UPSTREAM_GATE) for key in gated),
                *(sorted(profiled.check_keys) if profiled else ()),
            ],
        )

    def _sensors(
        self, of: _Members, job: UnresolvedAssetJobDefinition, known: KnownTables
    ) -> Iterator[dg.SensorDefinition]:
        """What starts runs: files, changed inputs, opened gates, released rows."""
        status = dg.DefaultSensorStatus.RUNNING if self.autostart else dg.DefaultSensorStatus.STOPPED
        interval_s = self.sensor_interval_s
        if of.tables:
            yield build_landing_sensor(
                self.workflow,
                [spec for spec in of.specs if spec.routed is None and spec.source is None],
                job,
                interval_s=interval_s,
                max_attempts=self.max_attempts,
                max_keys_per_tick=self.max_keys_per_tick,
                notifications=self.notifications,
                status=status,
            )
            silver = [spec for spec in of.specs if spec.columns]
            yield build_release_sensor(self.workflow, silver, job, interval_s=interval_s, status=status)
        if any(part.automation == "eager" for part in (*of.tables, *of.models, *of.sinks)):
            yield build_automation_sensor(self.workflow, interval_s=interval_s, status=status)
        yield build_gate_sensor(self.workflow, known.gates, job, interval_s=interval_s, status=status)

    def _beside(self, of: _Members, profiled: dg.AssetChecksDefinition | None) -> Iterator[_Scheduled]:
        """Jobs with schedules of their own."""
        if self.maintenance is not None:
            about = f"Compacts bronze of {self.workflow}, and removes what no table of it needs any more."
            yield _Scheduled("maintenance", self.maintenance, build_maintenance(self.workflow, of.specs), about)
        if profiled is not None and self.profile is not None:
            about = f"Profiles every table of {self.workflow}, and says what changed."
            yield _Scheduled("profile", self.profile, build_profile_job(self.workflow, profiled), about)

    def _profiled(self, of: _Members, known: KnownTables) -> dg.AssetChecksDefinition:
        """The check of every silver and gold table that profiles it."""
        places = [Place(TableId(part.workflow, part.name), "silver") for part in of.typed]
        places += [Place(ModelId(part.workflow, part.name), "gold") for part in of.models]
        personal = {place.table: known.personal(place.table) for place in places}
        return build_profile_checks(self.workflow, places, personal, self.profile_drift or DriftLimits())

    def _sets(self, of: _Members, known: KnownTables) -> list[dg.AssetsDefinition]:
        """What is made of all tables together: the published set of gold, and the warehouse if it is wanted."""
        cut = [dg.AssetKey(TableId(part.workflow, part.name).silver_key) for part in of.typed if part.partition_by]
        condition = eager(cut) if any(part.automation == "eager" for part in of.models) else None
        specs = [known.spec(ModelId(part.workflow, part.name)) for part in of.models]
        made = [build_gold_published(self.workflow, specs, condition, known.gates)] if of.models else []
        if self.warehouse:
            by_name = {one.name: one for one in of.typed}
            silver = [
                Described(spec.id, part.description, column_notes.of_silver(spec))
                for part, spec in ((part, part.spec(by_name)) for part in of.typed)
            ]
            gold = [
                Described(spec.id, part.description, column_notes.of_gold(spec))
                for part, spec in zip(of.models, specs, strict=True)
            ]
            made.append(build_warehouse(self.workflow, [*silver, *gold], condition, known.gates))
        return made

    def _schedule_of(self, one: _Scheduled) -> dg.ScheduleDefinition:
        try:
            return build_schedule(one.job, one.cron, self.timezone, one.about, autostart=self.autostart)
        except dg.DagsterInvalidDefinitionError as error:
            problem = (
                f"`{one.field}: {one.cron}` with `timezone: {self.timezone}` is refused: {str(error).rstrip('.')}."
            )
            raise self.wrong(
                problem, "Write five cron fields, e.g. '0 6 * * *', and a zone such as Europe/Berlin."
            ) from None

    def _validate(self, tables: list[Table], models: list[GoldPart], workflows: list[Workflow]) -> None:
        if len(workflows) > 1:
            raise self.wrong("the folder has two Workflow documents.", "Keep one.")
        if not (tables or models):
            problem = "the workflow has neither a table nor a model."
            raise self.wrong(problem, "Add a document of type flowforge_assets.components.Table.")
        for model in models:
            if model.name in (GOLD_PUBLISHED, WAREHOUSE, QUARANTINE_DECISIONS):
                raise model.wrong(f"'{model.name}' is the name of an asset that FlowForge makes.", "Rename the model.")
