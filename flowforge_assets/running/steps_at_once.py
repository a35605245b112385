"""Several steps of a run at once in one process: while one writes, or Dagster notes its events, another computes.

Dagster's in-process executor runs one step after the other, its multiprocess executor pays a second for each. This one
is the in-process executor with threads for the steps that say they may share the process (`SHARES_PROCESS`, which
FlowForge's own steps carry). Every other step runs as Dagster would run it: alone, in the main thread. So does a step
beside which there is nothing else to do.

Belongs here: which step runs when, and what becomes of an interrupted run. Does not: how a step is run, skipped, retried
or recorded, which stays Dagster's own; the thread a step runs in (`step_threads`). `tests/test_steps_at_once.py` pins the
private shapes this rests on.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.compute_logs import create_compute_log_file_key
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan.execute_plan import (
    _handle_compute_log_setup_error,
    _handle_compute_log_teardown_error,
    _trigger_hook,
    dagster_event_sequence_for_step,
)
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.executor.in_process import InProcessExecutor
from dagster._utils.timing import time_execution_scope
from dagster_shared.utils.timing import format_duration

from flowforge_assets.running.step_threads import Ended, StepThreads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._core.execution.context.system import (
        PlanExecutionContext,
        PlanOrchestrationContext,
        StepExecutionContext,
    )
    from dagster._core.execution.plan.active import ActiveExecution
    from dagster._core.execution.plan.plan import ExecutionPlan
    from dagster._core.execution.plan.step import ExecutionStep
    from dagster._core.execution.retries import RetryMode
    from dagster._core.execution.step_dependency_config import StepDependencyConfig

# A tag of ops that may run beside others in one process. Its value says which engine bounds their memory.
SHARES_PROCESS = "flowforge/shares_process"
READS_FILES, QUERIES = "reads_files", "queries"
# DuckDB keeps all its queries together within FLOWFORGE_MEMORY_LIMIT; two readers of landing files would hold twice one's.
_ONE_READER = [{"key": SHARES_PROCESS, "value": READS_FILES, "limit": 1}]


class StepsAtOnceExecutor(InProcessExecutor):
    """Dagster's in-process executor, with up to `at_once` steps at a time."""

    def __init__(self, retries: RetryMode, step_dependency_config: StepDependencyConfig, at_once: int) -> None:
        super().__init__(retries, step_dependency_config)
        self._at_once = at_once

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        """The events of a run, in the order in which they happen; those of one step in the order Dagster gives them.

        Raises:
            DagsterExecutionInterruptedError: the run was interrupted; every step has ended.
        """
        if self._at_once == 1:
            yield from super().execute(plan_context, execution_plan)
            return
        about = EngineEventData.in_process(os.getpid(), execution_plan.step_keys_to_execute)
        said = f"Executing up to {self._at_once} steps at once in process (pid: {os.getpid()})"
        yield DagsterEvent.engine_event(plan_context, said, event_specific_data=about)
        manager = PlanExecutionContextManager(
            job=plan_context.job,
            retry_mode=plan_context.retry_mode,
            execution_plan=plan_context.execution_plan,
            run_config=plan_context.run_config,
            dagster_run=plan_context.dagster_run,
            instance=plan_context.instance,
            raise_on_error=plan_context.raise_on_error,
            output_capture=plan_context.output_capture,
            step_dependency_config=self.step_dependency_config,
        )
        with time_execution_scope() as timer:
            iterator = partial(_run_plan, at_once=self._at_once)
            yield from ExecuteRunWithPlanIterable(plan_context.execution_plan, iterator, manager)
        said = f"Finished steps in process (pid: {os.getpid()}) in {format_duration(timer.millis)}"
        yield DagsterEvent.engine_event(plan_context, said, event_specific_data=about)


def _run_plan(
    job_context: PlanExecutionContext, execution_plan: ExecutionPlan, *, at_once: int
) -> Iterator[DagsterEvent]:
    """As Dagster's `inner_plan_execution_iterator`, which this takes the place of."""
    with ExitStack() as stack:
        pools = stack.enter_context(InstanceConcurrencyContext(job_context.instance, job_context.dagster_run))
        active = stack.enter_context(
            execution_plan.start(
                retry_mode=job_context.retry_mode,
                max_concurrent=at_once,
                tag_concurrency_limits=_ONE_READER,
                instance_concurrency_context=pools,
                step_dependency_config=job_context.step_dependency_config,
            )
        )
        logs = stack.enter_context(ExitStack())
        yield from _capture_logs(job_context, execution_plan, logs)
        threads = stack.enter_context(StepThreads())
        yield from _Steps(job_context, active, threads, at_once).events()
        try:
            logs.close()
        except Exception:  # noqa: BLE001  # as Dagster's own: a log that cannot be kept fails no run
            yield from _handle_compute_log_teardown_error(job_context, sys.exc_info())


def _capture_logs(job_context: PlanExecutionContext, plan: ExecutionPlan, logs: ExitStack) -> Iterator[DagsterEvent]:
    """Keep what the process prints, of all steps together, as Dagster does for its in-process executor."""
    manager = job_context.instance.compute_log_manager
    keys = [step.key for step in plan.get_steps_to_execute_in_topo_order()]
    file = create_compute_log_file_key()  # type: ignore[no-untyped-call]  # Dagster's own is not annotated
    log_key = manager.build_log_key_for_run(job_context.run_id, file)
    try:
        captured = logs.enter_context(manager.capture_logs(log_key))
        yield DagsterEvent.capture_logs(job_context, keys, log_key, captured)
    except Exception:  # noqa: BLE001  # as above
        yield from _handle_compute_log_setup_error(job_context, sys.exc_info())


class _Steps:
    """One run: the steps that are ready are started, and what they say goes to Dagster's state of the plan.

    Only the main thread touches that state.
    """

    def __init__(
        self, job_context: PlanExecutionContext, active: ActiveExecution, threads: StepThreads, at_once: int
    ) -> None:
        self.job_context, self.active, self.threads, self.at_once = job_context, active, threads, at_once
        self.contexts: dict[str, StepExecutionContext] = {}
        self.said: dict[str, list[DagsterEvent]] = defaultdict(list)
        self.alone: list[ExecutionStep] = []
        self.error: BaseException | None = None

    def events(self) -> Iterator[DagsterEvent]:
        """Until nothing is left to run, or the run was interrupted and all that ran has ended."""
        while self.threads.running or (self.error is None and not self.active.is_complete):
            if self.active.check_for_interrupts():
                self._interrupt()
            if self.error is None:
                yield from self._start_what_is_ready()
            if self.threads.running:
                yield from self._listen()
            elif self.alone and self.error is None:
                yield from self._run_alone(self.alone.pop(0))
            elif self.error is None and not self.active.is_complete:
                self.active.sleep_til_ready()
        if self.error is not None:
            raise self.error

    def _interrupt(self) -> None:
        self.active.mark_interrupted()
        self.error = DagsterExecutionInterruptedError()
        self.threads.interrupt()

    def _start_what_is_ready(self) -> Iterator[DagsterEvent]:
        """Start what may run beside what runs; what may not waits until it has the process for itself."""
        if self.alone:
            return
        ready = self.active.get_steps_to_execute(limit=self.at_once - len(self.threads.running))
        yield from self.active.concurrency_event_iterator(self.job_context)
        company = len(ready) + len(self.threads.running) > 1
        for step in ready:
            if company and SHARES_PROCESS in step.tags:
                self.threads.start(self._context(step))
            else:
                self.alone.append(step)

    def _run_alone(self, step: ExecutionStep) -> Iterator[DagsterEvent]:
        """As Dagster's in-process executor does, in the main thread, where an interrupt is an error at once."""
        for event in dagster_event_sequence_for_step(self._context(step)):
            yield from self._take(step.key, event)
        yield from self._finish(step.key)

    def _listen(self) -> Iterator[DagsterEvent]:
        """Pass on what running steps say, until one has ended or all are silent for a moment."""
        while (heard := self.threads.listen()) is not None:
            key, said = heard
            if not isinstance(said, Ended):
                yield from self._take(key, said)
                continue
            self.error = self.error or said.error
            if self.error is None:
                yield from self._finish(key)
            return

    def _context(self, step: ExecutionStep) -> StepExecutionContext:
        known = self.active.get_known_state()
        # Dagster hands out the very set that it goes on adding to.
        known = known._replace(ready_outputs=set(known.ready_outputs))
        self.contexts[step.key] = self.job_context.for_step(step, known)
        self.said[step.key] = []
        return self.contexts[step.key]

    def _take(self, key: str, event: DagsterEvent) -> Iterator[DagsterEvent]:
        self.said[key].append(event)
        yield event
        self.active.handle_event(event)

    def _finish(self, key: str) -> Iterator[DagsterEvent]:
        """What follows from the end of a step: others that are skipped, and its hooks."""
        self.active.verify_complete(self.job_context, key)
        for event in self.active.plan_events_iterator(self.job_context):
            self.said[key].append(event)
            yield event
        yield from _trigger_hook(self.contexts.pop(key), self.said.pop(key))
