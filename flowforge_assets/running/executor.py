"""The executor of every FlowForge job: one process with a few steps at once, or a process a step where that is asked for.

Belongs here: what run config may say. Does not: how steps run at once (`steps_at_once`).

Dagster wants the type itself, not its name, on an executor's function: no postponed annotations in this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import MULTI_PROC_CONFIG, _core_multiprocess_executor_creation
from dagster._core.execution.retries import RetryMode, get_retries_config
from dagster._core.execution.step_dependency_config import StepDependencyConfig, get_step_dependency_config_field

from flowforge_assets.running.steps_at_once import StepsAtOnceExecutor
from flowforge_resources.errors import SettingError

STEPS_AT_ONCE = 2
_IN_PROCESS, _MULTIPROCESS = "in_process", "multiprocess"
_STEPS_AT_ONCE_FIELD = dg.Field(
    dg.Int,
    is_required=False,
    default_value=STEPS_AT_ONCE,
    description="FlowForge's steps that may run at once, in threads of the one process; 1 runs one after the other.",
)


def _in_process_unless_asked(asked: Mapping[str, Any]) -> dict[str, Any]:
    return dict(asked) or {_IN_PROCESS: {}}


def _requirements(config: Mapping[str, Any]) -> Sequence[dg.ExecutorRequirement]:
    """A run in several processes needs a job and an instance that they can all open."""
    return dg.multiple_process_executor_requirements() if _MULTIPROCESS in config else []


_CONFIG: dict[str, Any] = {
    _MULTIPROCESS: MULTI_PROC_CONFIG,
    _IN_PROCESS: {
        "retries": get_retries_config(),  # type: ignore[no-untyped-call]  # Dagster's own are not annotated
        "max_concurrent": _STEPS_AT_ONCE_FIELD,
        "step_dependency_config": get_step_dependency_config_field(),  # type: ignore[no-untyped-call]
    },
}


@dg.executor(
    name="steps_at_once_or_multiprocess",
    config_schema=dg.Field(dg.Selector(_CONFIG)),  # type: ignore[no-untyped-call]
    requirements=_requirements,
)
def _either_executor(context: dg.InitExecutorContext) -> dg.Executor:
    config: Mapping[str, Any] = context.executor_config
    if _MULTIPROCESS in config:
        return _core_multiprocess_executor_creation(config[_MULTIPROCESS])
    asked = config[_IN_PROCESS]
    if asked["max_concurrent"] < 1:
        raise SettingError("max_concurrent in run config", str(asked["max_concurrent"]), "not 1 or more.", "Write 2.")
    retries = RetryMode.from_config(asked["retries"]) or RetryMode.ENABLED
    waits = StepDependencyConfig.from_config(asked.get("step_dependency_config"))
    return StepsAtOnceExecutor(retries, waits, asked["max_concurrent"])


# Dagster's default executor starts a process for every step: 59 s instead of 4 for seven small tables.
quick_executor = _either_executor.configured(
    _in_process_unless_asked,
    name="in_process_unless_asked",
    config_schema=dg.Field(
        dg.Permissive(),  # type: ignore[no-untyped-call]  # Dagster's own is not annotated
        is_required=False,
        default_value={},
        description="Empty for one process with two steps at once; `in_process: {max_concurrent: 1}` runs one after the other, `multiprocess: {max_concurrent: 2}` a process a step.",
    ),
)
