"""Several steps at once in one process: what they leave and say is what one after the other leaves and says."""

import inspect
import os
import signal
import threading
from collections import Counter, defaultdict

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.plan import execute_plan
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.multiprocess import MultiprocessExecutor
from dagster._core.system_config.objects import ResolvedRunConfig

from flowforge_assets.running import step_threads
from flowforge_assets.running.executor import quick_executor
from flowforge_assets.running.steps_at_once import QUERIES, READS_FILES, SHARES_PROCESS, StepsAtOnceExecutor
from flowforge_resources.duck import connect
from flowforge_resources.errors import SettingError
from scenario import SHOP_SQL, SHOP_YAML, land, launched, load, shop, state

LIMIT_S = 30
SHARES = {SHARES_PROCESS: QUERIES}


def events_of(instance, run):
    """Kinds of event by step, in order; those of the run itself under None."""
    said = defaultdict(list)
    for record in instance.all_logs(run.run_id):
        if record.dagster_event is not None:
            said[record.dagster_event.step_key].append(record.dagster_event.event_type_value)
    return dict(said)


def failure_of(instance, run, step):
    """What Dagster holds of a step's failure."""
    (found,) = (
        one.dagster_event.step_failure_data
        for one in instance.all_logs(run.run_id)
        if one.dagster_event is not None and one.dagster_event.is_step_failure and one.step_key == step
    )
    return found


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def job_of(*ops, **options):
    """A job of ops without dependencies."""

    @dg.job(executor_def=quick_executor, **options)
    def together():
        for one in ops:
            one()

    return together


def test_two_steps_that_may_share_the_process_run_at_once(instance):
    meeting = threading.Barrier(2, timeout=LIMIT_S)
    threads = []

    def meet():
        threads.append(threading.current_thread())
        meeting.wait()

    ops = [dg.op(name=name, tags=SHARES)(meet) for name in ("one", "other")]
    assert launched(job_of(*ops), instance).is_success
    assert threading.main_thread() not in threads


def test_a_step_that_does_not_say_so_has_the_process_for_itself_in_the_main_thread(instance):
    running, seen = Counter(), []

    def busy(name):
        def work():
            running[name] += 1
            seen.append((name, sum(running.values()), threading.current_thread() is threading.main_thread()))
            running[name] -= 1

        return work

    ops = [dg.op(name=f"shares{number}", tags=SHARES)(busy(f"shares{number}")) for number in range(4)]
    ops += [dg.op(name=f"alone{number}")(busy(f"alone{number}")) for number in range(2)]
    assert launched(job_of(*ops), instance).is_success
    assert len(seen) == len(ops)
    assert all(count == 1 and in_main for name, count, in_main in seen if name.startswith("alone"))


def test_landing_files_are_read_by_one_step_at_a_time(instance):
    reading, most = [], []

    def read():
        reading.append(1)
        most.append(len(reading))
        reading.pop()

    beside = threading.Event()
    ops = [dg.op(name=f"read{number}", tags={SHARES_PROCESS: READS_FILES})(read) for number in range(4)]
    ops.append(dg.op(name="query", tags=SHARES)(lambda: beside.wait(0.2)))
    assert launched(job_of(*ops), instance).is_success
    assert most == [1, 1, 1, 1]


def _awkward():
    """A job with a step that fails, one that comes right at the second attempt, one without output, and what follows."""
    attempts = Counter()

    @dg.op(tags=SHARES)
    def fails():
        raise dg.Failure("no")

    @dg.op(tags=SHARES, out=dg.Out(is_required=False))
    def says_nothing():
        if attempts["never"]:
            yield dg.Output(1)

    @dg.op(tags=SHARES)
    def again():
        attempts["again"] += 1
        if attempts["again"] == 1:
            raise dg.RetryRequested(max_retries=2)
        return 1

    @dg.op(tags=SHARES)
    def follows(_before):
        return 1

    @dg.job(executor_def=quick_executor)
    def awkward():
        follows.alias("after_failure")(fails())
        follows.alias("after_nothing")(says_nothing())
        follows.alias("after_all")(follows.alias("after_again")(again()))

    return awkward


def test_failed_skipped_and_repeated_steps_are_told_as_one_after_the_other(instance):
    told = {}
    for at_once in (1, 2, 5):
        run = launched(_awkward(), instance, {"in_process": {"max_concurrent": at_once}})
        assert run.status == dg.DagsterRunStatus.FAILURE
        told[at_once] = {step: kinds for step, kinds in events_of(instance, run).items() if step}
    assert told[1] == told[2] == told[5]
    assert told[1]["again"].count("STEP_UP_FOR_RETRY") == 1
    assert told[1]["after_nothing"] == ["STEP_SKIPPED"]
    assert "after_failure" not in told[1]


def test_an_error_that_is_to_be_raised_is_raised_when_the_others_have_ended(instance):
    ended = []
    failed = threading.Event()

    @dg.op(tags=SHARES)
    def fails():
        failed.set()
        raise ValueError("no")

    @dg.op(tags=SHARES)
    def slow():
        failed.wait(LIMIT_S)
        ended.append("slow")

    with pytest.raises(ValueError, match="no"):
        launched(job_of(fails, slow), instance, raise_on_error=True)
    assert ended == ["slow"]


def test_hooks_run_after_their_step(instance):
    told = []

    @dg.success_hook
    def tell(context):
        told.append(context.op.name)

    ops = [dg.op(name=name, tags=SHARES)(lambda: None) for name in ("one", "other")]
    run = launched(job_of(*ops, hooks={tell}), instance)
    assert sorted(told) == ["one", "other"]
    assert events_of(instance, run)["one"][-1] == "HOOK_COMPLETED"


def test_an_interrupted_run_ends_its_steps_and_says_so(instance, tmp_path, monkeypatch):
    """One step is deep in a query, one in a loop of Python's; a signal comes as from `dagster job terminate`."""
    monkeypatch.setattr(step_threads, "GRACE_S", 0.3)
    both = threading.Barrier(2, timeout=LIMIT_S)
    left = []

    @dg.op(tags=SHARES)
    def queries():
        try:
            with connect(tmp_path) as connection:
                both.wait()
                connection.execute(
                    "SELECT count(*) FROM range(10_000_000_000) a, range(1_000_000) b WHERE a.range % 7 = b.range"
                )
        finally:
            left.append("queries")

    @dg.op(tags=SHARES)
    def loops():
        try:
            both.wait()
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                threading.Event().wait(0.01)
        finally:
            left.append("loops")

    before = threading.active_count()
    run = launched(job_of(queries, loops), instance)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert sorted(left) == ["loops", "queries"]
    assert threading.active_count() == before
    for step in left:
        assert failure_of(instance, run, step).error_source == ErrorSource.INTERRUPT
    last = events_of(instance, run)[None][-1]
    assert last == "PIPELINE_FAILURE"


def test_an_interrupted_run_starts_nothing_more_and_what_has_ended_stays_so(instance):
    done = []

    @dg.op(tags=SHARES)
    def ends():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("ends")

    @dg.op(tags=SHARES)
    def waits():
        for _ in range(LIMIT_S * 100):
            threading.Event().wait(0.01)

    @dg.op(tags=SHARES)
    def follows(_before):
        done.append("follows")

    @dg.job(executor_def=quick_executor)
    def chain():
        waits()
        follows(ends())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_threads, "GRACE_S", 0.3)
        run = launched(chain, instance)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert done == ["ends"]


STEPS = {
    "shop__bronze_items": READS_FILES,
    "shop__silver_items": QUERIES,
    "shop__silver_sales": QUERIES,
    "shop__fact_sales": QUERIES,
}
LANDED = {
    "items/items_1.csv": "item_id,label,price,seen_at\n1,pen,1.50,2026-01-01\n2,ink,x,2026-01-01\n",
    "sales/sales_1.csv": "shop,number,item_id,quantity\na,1,1,2\na,2,9,1\n",
}


def test_a_workflow_leaves_and_says_the_same_whatever_runs_at_once(tmp_path, lake, instance, monkeypatch):
    left, told = {}, {}
    for at_once in (1, 2, 4):
        monkeypatch.setenv("FLOWFORGE_LAKE_URL", str(tmp_path / f"lake{at_once}"))
        here = type(lake)()
        land(here, "shop", LANDED)
        defs = shop(tmp_path / f"project{at_once}")
        job = defs.resolve_job_def("shop")
        run = launched(job, instance, {"in_process": {"max_concurrent": at_once}})
        assert run.is_success
        left[at_once] = state(here)
        told[at_once] = {step: kinds for step, kinds in events_of(instance, run).items() if step}
    assert left[1] == left[2] == left[4]
    assert told[1] == told[2] == told[4]


def test_a_failed_blocking_check_holds_up_what_follows_and_nothing_else(tmp_path, lake, instance):
    land(lake, "shop", LANDED)
    blocking = SHOP_YAML.replace(
        "{rule: range, column: price, min: 0}", "{rule: range, column: price, min: 5, action: block}"
    )
    defs = load(tmp_path, blocking, **SHOP_SQL)
    told = {}
    for at_once in (1, 2):
        run = launched(defs.resolve_job_def("shop"), instance, {"in_process": {"max_concurrent": at_once}})
        assert run.status == dg.DagsterRunStatus.FAILURE
        told[at_once] = {step: kinds[-1] for step, kinds in events_of(instance, run).items() if step}
    assert told[1] == told[2]
    assert told[2]["shop__silver_items"] == "STEP_FAILURE"
    assert told[2]["shop__bronze_sales"] == "STEP_SUCCESS"


def test_a_table_with_a_users_function_has_the_process_for_itself(tmp_path):
    rule = "rules: [{rule: python, name: known, function: 'own.py:known', columns: [label]}]"
    ruled = SHOP_YAML.replace("rules:\n        - {rule: range, column: price, min: 0}", rule)
    assert ruled != SHOP_YAML
    own = {"own.py": "def known(frame):\n    return frame['label'].is_not_null()\n"}
    defs = load(tmp_path, ruled, **SHOP_SQL, **own)
    tags = {step: defs.resolve_job_def("shop").graph.node_named(step).definition.tags for step in STEPS}
    assert {step: tag.get(SHARES_PROCESS) for step, tag in tags.items()} == STEPS | {"shop__silver_items": None}


@pytest.mark.parametrize(
    ("config", "kind", "at_once"),
    [
        ({}, StepsAtOnceExecutor, 2),
        ({"in_process": {}}, StepsAtOnceExecutor, 2),
        ({"in_process": {"max_concurrent": 1}}, StepsAtOnceExecutor, 1),
        ({"multiprocess": {"max_concurrent": 3}}, MultiprocessExecutor, None),
    ],
)
def test_run_config_chooses_the_executor(config, kind, at_once, instance):
    @dg.op
    def nothing():
        """Do nothing."""

    built = _executor(job_of(nothing), instance, config)
    assert type(built) is kind
    assert getattr(built, "_at_once", None) == at_once


def test_no_step_at_once_is_refused(instance):
    with pytest.raises(SettingError, match="max_concurrent in run config"):
        _executor(job_of(dg.op(name="nothing")(lambda: None)), instance, {"in_process": {"max_concurrent": 0}})


def _executor(job, instance, config):
    """The executor that a run with this config would have."""
    asked = {"execution": {"config": config}}
    engine = ResolvedRunConfig.build(job, asked).execution.execution_engine_config
    definition = job.executor_def
    return definition.executor_creation_fn(dg.InitExecutorContext(InMemoryJob(job), definition, engine, instance))


def test_dagster_still_has_the_shapes_this_rests_on():
    inner = inspect.getsource(execute_plan.inner_plan_execution_iterator)
    for shape in (
        "execution_plan.start(",
        "active_execution.concurrency_event_iterator(job_context)",
        "active_execution.sleep_til_ready()",
        "job_context.for_step(step, active_execution.get_known_state())",
        "active_execution.handle_event(dagster_event)",
        "active_execution.verify_complete(job_context, step.key)",
        "active_execution.plan_events_iterator(job_context)",
        "_trigger_hook(step_context, step_event_list)",
        "compute_log_manager.build_log_key_for_run(job_context.run_id, file_key)",
    ):
        assert shape in inner, "look at what Dagster's own in-process executor does now, and do it in steps_at_once"
    execute = inspect.getsource(InProcessExecutor.execute)
    assert "iterator=inprocess_execution_iterator" in execute
    assert list(inspect.signature(ActiveExecution.get_steps_to_execute).parameters) == ["self", "limit"]
