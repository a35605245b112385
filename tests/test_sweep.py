"""A sweep removes what no table needs, says what, and takes nothing from a run that is at work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowforge_resources import retention as retention_module
from flowforge_resources.duck import connect
from flowforge_resources.history import versions
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import read_ledger
from flowforge_resources.published import copy_with_facts
from flowforge_resources.retention import Retention
from flowforge_resources.scratch import Scratch
from flowforge_resources.sweep import ORPHAN, SNAPSHOT, STATE, TASK, UPLOAD, Swept, sweep
from scenario import QUIET, SHOP_DAY1, SHOP_DAY2, SHOP_SQL, SHOP_YAML, land, load, objects, run_well, shop, state

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake

ITEMS, SALES = TableId("shop", "items"), TableId("shop", "sales")
AT_ONCE = timedelta(0)


def sweep_all(lake: Lake, *, older_than: timedelta = AT_ONCE, **options: Any) -> Swept:
    tables = {ITEMS: Retention(keep_last=0), SALES: Retention()}
    return sweep(lake, tables, run_id="a sweep", older_than=older_than, **options)


def what(swept: Swept) -> set[tuple[str, str]]:
    return {(one.kind, one.name) for one in swept.removed}


def two_days(lake: Lake, folder: Path) -> None:
    defs = shop(folder)
    for files in (SHOP_DAY1, SHOP_DAY2):
        land(lake, "shop", files)
        run_well(defs, "shop")


def test_a_clean_lake_has_nothing_to_sweep(any_lake: Lake, tmp_path: Path) -> None:
    two_days(any_lake, tmp_path)
    before = objects(any_lake)
    assert sweep_all(any_lake).removed == []
    assert objects(any_lake) == before


def test_what_a_killed_run_left_of_each_kind_goes_and_a_dry_run_only_says_so(
    any_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_days(any_lake, tmp_path)
    monkeypatch.setattr(retention_module, "GRACE", timedelta(0))
    snapshot = versions(any_lake, ITEMS)[1].key
    orphan, nameless = f"{ITEMS.bronze}run_20200101_000000_items.parquet", f"{SALES.states}{'0' * 32}.parquet"
    said = state(any_lake)
    for key in (orphan, nameless):
        any_lake.write(key, b"PAR1")
    expected = {(ORPHAN, orphan), (SNAPSHOT, snapshot), (STATE, nameless)}
    before, content = objects(any_lake), any_lake.read(snapshot) or b""

    assert what(sweep_all(any_lake, older_than=timedelta(hours=24))) == {(SNAPSHOT, snapshot)}
    any_lake.write(snapshot, content)
    assert what(sweep_all(any_lake, dry_run=True)) == expected
    assert objects(any_lake) == before
    swept = sweep_all(any_lake)

    assert what(swept) == expected
    assert {one.size_bytes for one in swept.removed} == {4, len(content)}
    assert set(before) - set(objects(any_lake)) == {orphan, nameless, snapshot}
    assert state(any_lake) == said
    assert orphan in read_ledger(any_lake, ITEMS).fenced
    assert sweep_all(any_lake).removed == []
    run_well(shop_again(tmp_path), "shop")


def shop_again(folder: Path) -> Any:
    (folder / "again").mkdir()
    return shop(folder / "again")


def test_what_a_run_had_fenced_and_not_removed_goes_whatever_its_age(lake: Lake, tmp_path: Path) -> None:
    two_days(lake, tmp_path)
    orphan = f"{ITEMS.bronze}run_20200101_000000_items.parquet"
    lake.write(orphan, b"PAR1")
    sweep_all(lake)
    lake.write(orphan, b"PAR1")  # by a slow run, after its fence
    assert (ORPHAN, orphan) in what(sweep_all(lake, older_than=timedelta(hours=24)))


def test_the_state_of_an_archived_version_stays_as_long_as_the_version(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_days(lake, tmp_path)
    old = versions(lake, SALES)[1]
    of_old, of_none = f"{SALES.states}{'a' * 32}.parquet", f"{SALES.states}{'b' * 32}.parquet"
    with lake.scratch() as scratch, connect(scratch.root) as connection:
        path = scratch.path(".parquet")
        connection.execute(copy_with_facts("SELECT 1 AS x", path, {**old.facts, "state": of_old}))
        lake.publish(path, old.key)
    for key in (of_old, of_none):
        lake.write(key, b"PAR1")
    assert what(sweep_all(lake)) == {(STATE, of_none)}
    assert lake.head(of_old) is not None
    lake.delete(old.key)
    assert (STATE, of_old) in what(sweep_all(lake))


def test_folders_of_dead_tasks_go_and_those_of_living_ones_stay(lake: Lake) -> None:
    dead = lake.scratch_root / "task-0000000000000000"
    dead.mkdir(parents=True)
    (dead / "00001.parquet").write_bytes(b"12345")
    dead.with_name(f"{dead.name}.lock").touch()
    with Scratch(lake.scratch_root / "elsewhere") as other, lake.scratch() as living:
        dead.mkdir(exist_ok=True)  # the living task swept it when it began
        (dead / "00001.parquet").write_bytes(b"12345")
        dead.with_name(f"{dead.name}.lock").touch()
        assert [(one.kind, one.name, one.size_bytes) for one in sweep_all(lake, dry_run=True).removed] == [
            (TASK, str(dead), 5)
        ]
        assert what(sweep_all(lake)) == {(TASK, str(dead))}
        assert not dead.exists()
        assert living.folder.exists()
        assert other.folder.exists()


def test_an_unfinished_upload_is_aborted(s3_lake: Lake) -> None:
    import boto3

    bucket, prefix = s3_lake.url.removeprefix("s3://").split("/", 1)
    client = boto3.client("s3")
    client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/gold/shop/dim_item.parquet")
    client.create_multipart_upload(Bucket=bucket, Key="elsewhere/file")
    a_lifetime = timedelta(days=50 * 365)  # moto lets every upload begin in 2010
    assert sweep_all(s3_lake, older_than=a_lifetime).removed == []
    assert what(sweep_all(s3_lake)) == {(UPLOAD, f"{prefix}/gold/shop/dim_item.parquet")}
    left = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [one["Key"] for one in left] == ["elsewhere/file"]


def test_a_store_that_does_not_list_uploads_is_swept_of_everything_else(
    s3_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusing_uploads: None
) -> None:
    two_days(s3_lake, tmp_path)
    orphan = f"{ITEMS.bronze}run_20200101_000000_items.parquet"
    s3_lake.write(orphan, b"PAR1")
    swept = sweep_all(s3_lake)
    assert (ORPHAN, orphan) in what(swept)
    (note,) = swept.notes
    assert note.startswith("Unfinished uploads were left alone: The lake s3://")


@pytest.fixture
def refusing_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key may not list uploads: a bucket that boto3 does not find refuses as well."""
    from flowforge_resources.uploads import Uploads

    real = Uploads.__init__

    def elsewhere(self: Uploads, lake: Lake) -> None:
        real(self, lake)
        self._bucket = "no-such-bucket-here"

    monkeypatch.setattr(Uploads, "__init__", elsewhere)


def test_a_sweep_takes_nothing_from_a_run_that_is_slow_in_another_process(lake: Lake) -> None:
    """Its bronze file is on the lake and not committed: the run is told that it was fenced, and starts again."""
    land(lake, "shop", SHOP_DAY1)
    program = Path(__file__).with_name("paused_run.py")
    slow = subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert slow.stdout is not None
    assert slow.stdout.readline() == "waiting\n"
    (uncommitted,) = [found.key for found in lake.objects("bronze/") if found.key.endswith(".parquet")]
    assert sweep_all(lake, older_than=timedelta(hours=24)).removed == []
    assert what(sweep_all(lake)) == {(ORPHAN, uncommitted)}
    said, _ = slow.communicate("go on\n", timeout=120)
    assert said == "done\n"
    assert [one.published.rows for one in versions(lake, ITEMS)] == [2]
    assert sum(entry.rows for entry in read_ledger(lake, ITEMS).entries) == 3
    assert sweep_all(lake).removed == []


def test_the_maintenance_job_says_in_the_ui_what_it_removed(lake: Lake, tmp_path: Path) -> None:
    yaml = SHOP_YAML.replace("{description: A shop.}", '{description: A shop., maintenance: "0 3 * * 0"}')
    defs = load(tmp_path, yaml, **SHOP_SQL)
    schedule = defs.resolve_schedule_def("shop_maintenance_schedule")
    assert (schedule.cron_schedule, schedule.job_name) == ("0 3 * * 0", "shop_maintenance")
    land(lake, "shop", SHOP_DAY1)
    run_well(defs, "shop")
    nameless = f"{SALES.states}{'0' * 32}.parquet"
    lake.write(nameless, b"PAR1")
    assert lake.local_root is not None
    long_ago = 1_500_000_000
    os.utime(lake.local_root / nameless, (long_ago, long_ago))

    result = defs.resolve_job_def("shop_maintenance").execute_in_process(run_config=QUIET)

    assert result.success
    _, output = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    said = {name: value.value for name, value in output.step_output_data.metadata.items()}
    assert (said["removed"], said["size_bytes"], said[f"removed {STATE}"]) == (1, 4, 1)
    assert nameless in said["what"]
    assert lake.head(nameless) is None


def test_without_maintenance_there_is_no_such_job(tmp_path: Path) -> None:
    names = {job.name for job in shop(tmp_path).get_repository_def().get_all_jobs()}
    assert "shop_maintenance" not in names


# -- the command ------------------------------------------------------------------------------------------------------


def flowforge(*arguments: str) -> Any:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("flowforge")), *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_sweeps_the_declared_tables(lake: Lake) -> None:
    orphan = "bronze/retail/orders/run_20200101_000000_orders.parquet"
    lake.write(orphan, b"PAR1")
    assert flowforge("sweep")["removed"] == []
    said = flowforge("sweep", "--dry-run", "--older-than-hours", "0", "--workflow", "retail")
    assert [one["name"] for one in said["removed"]] == [orphan]
    assert lake.head(orphan) is not None
    flowforge("sweep", "--older-than-hours", "0")
    assert lake.head(orphan) is None
