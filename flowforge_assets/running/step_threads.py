"""Threads that steps run in: what they say comes back through a queue, in order, with how they ended.

An interrupted step ends where Dagster may end one: between two events, by the error that Dagster raises for an interrupt.
A query of DuckDB is broken off for it. A step that says nothing for `GRACE_S` more is at work in Python, or in Polars,
which cannot be broken off: the error waits for its next line of Python.
"""

from __future__ import annotations

import ctypes
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Self, cast

from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.plan.execute_plan import dagster_event_sequence_for_step

from flowforge_resources.duck import interrupt_queries

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator
    from types import TracebackType

    from dagster._core.events import DagsterEvent
    from dagster._core.execution.context.system import StepExecutionContext

GRACE_S = 5.0
_LOOK_S = 0.1


@dataclass(frozen=True)
class Ended:
    """The last thing a step says; `error` is what it raised beyond its failure event, as with `raise_on_error`."""

    error: BaseException | None = None


class StepThreads:
    """Steps that run now. Only the thread that made it calls its methods."""

    def __init__(self) -> None:
        self._said: SimpleQueue[tuple[str, DagsterEvent | Ended]] = SimpleQueue()
        self._threads: dict[str, Thread] = {}
        self._stopping = Event()
        self._patience_ends = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing runs on behind the back of who started it."""
        if self._threads:
            self.interrupt()
        while self._threads:
            self.listen()

    @property
    def running(self) -> Collection[str]:
        """Keys of the steps that have not ended."""
        return self._threads.keys()

    def start(self, context: StepExecutionContext) -> None:
        """Run a step; what is said in its thread is said in the surroundings of this one."""
        key = context.step.key
        self._threads[key] = Thread(target=copy_context().run, args=(self._run, context), name=f"step {key}")
        self._threads[key].start()

    def _run(self, context: StepExecutionContext) -> None:
        key, error = context.step.key, None
        try:
            for event in self._events(context):
                self._said.put((key, event))
        except BaseException as raised:  # noqa: BLE001  # told to who waits, who raises it
            error = raised
        self._said.put((key, Ended(error)))

    def _events(self, context: StepExecutionContext) -> Iterator[DagsterEvent]:
        """What Dagster says of a step; after an interrupt, that it was interrupted, unless it has ended by itself."""
        events = cast("Generator[DagsterEvent, None, None]", dagster_event_sequence_for_step(context))
        event = next(events, None)
        while event is not None:
            yield event
            ended = event.is_step_success or event.is_step_failure or event.is_step_up_for_retry
            throws = self._stopping.is_set() and not ended
            event = events.throw(DagsterExecutionInterruptedError()) if throws else next(events, None)

    def listen(self) -> tuple[str, DagsterEvent | Ended] | None:
        """What a step said next, and which; None where all are silent for a moment."""
        try:
            key, said = self._said.get(timeout=_LOOK_S)
        except Empty:
            return self._look_after()
        if isinstance(said, Ended):
            self._threads.pop(key).join()
        return key, said

    def _look_after(self) -> tuple[str, DagsterEvent | Ended] | None:
        """Break off what an interrupted run still computes; find a thread that ended without a word."""
        if self._stopping.is_set():
            interrupt_queries()
            if monotonic() > self._patience_ends:
                self._patience_ends = monotonic() + GRACE_S
                for thread in self._threads.values():
                    _raise_in(thread, DagsterExecutionInterruptedError)
        dead = next((key for key, thread in self._threads.items() if not thread.is_alive()), None)
        if dead is None or not self._said.empty():
            return None
        del self._threads[dead]
        return dead, Ended(DagsterExecutionInterruptedError())

    def interrupt(self) -> None:
        """Let every step end as an interrupted one."""
        self._stopping.set()
        self._patience_ends = monotonic() + GRACE_S
        interrupt_queries()


def _raise_in(thread: Thread, error: type[BaseException]) -> None:
    """Raise an error in a thread as soon as it is back in Python; nothing where it has ended."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))
