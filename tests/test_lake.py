"""The lake moves bytes atomically and under any name, on a local folder and on S3 alike."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flowforge_resources.errors import LakeAccessError
from flowforge_resources.lake import Lake
from flowforge_resources.published import read_published
from flowforge_resources.scratch import Scratch
from scenario import SHOP_DAY1, land, leftovers, objects, run_well, shop

AWKWARD_NAMES = (
    "plain.csv",
    "with space.csv",
    "Ünïcode-名前.csv",
    "100%.csv",
    "a%20b.csv",
    "hash#tag.csv",
    "plus+plus.csv",
    "a=b&c.csv",
    "semi;colon,comma.csv",
    "quote'd.csv",
    "br[ack]et{s}.csv",
    "tilde~star*.csv",
    ".hidden.csv",
)


def file_with(scratch: Scratch, content: bytes) -> Path:
    path = scratch.path(".parquet")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_any_name_is_written_listed_read_and_removed_as_it_stands(any_lake: Lake, name: str) -> None:
    key = f"landing/w/t/{name}"
    any_lake.write(key, b"first")

    (found,) = any_lake.objects("landing/w/t/")
    assert found.key == key
    assert found.size_bytes == 5
    assert any_lake.read(key) == b"first"
    assert any_lake.read_range(key, 1, 3) == b"irs"
    assert any_lake.head(key) == found
    with any_lake.scratch() as scratch:
        assert any_lake.stage_in(key, scratch).read_bytes() == b"first"
        any_lake.copy(key, f"{key}.copy")
        assert any_lake.read(f"{key}.copy") == b"first"
        assert any_lake.publish_new(file_with(scratch, b"new"), key) is None
        published = any_lake.publish(file_with(scratch, b"second"), key)
        assert any_lake.swap(file_with(scratch, b"third"), key, expected=published) is not None
    assert any_lake.read(key) == b"third"
    any_lake.delete(key)
    any_lake.delete(f"{key}.copy")
    assert list(any_lake.objects("landing/")) == []


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_file_put_into_a_local_lake_by_hand_is_found_under_its_name(lake: Lake, name: str) -> None:
    assert lake.local_root is not None
    path = lake.local_root / "landing" / "w" / "t" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")

    (found,) = lake.objects("landing/w/t/")

    assert found.key == f"landing/w/t/{name}"
    assert lake.read(found.key) == b"x"
    assert (lake.local_root / found.key).read_bytes() == b"x"


def test_create_writes_once(any_lake: Lake) -> None:
    assert any_lake.create("a/b.json", b"1")
    assert not any_lake.create("a/b.json", b"2")
    assert any_lake.read("a/b.json") == b"1"


def test_of_many_who_create_one_key_at_once_one_wins(any_lake: Lake) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: any_lake.create("race.json", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert any_lake.read("race.json") == b"%d" % won.index(True)


def test_of_many_who_swap_one_version_at_once_one_wins(any_lake: Lake) -> None:
    with any_lake.scratch() as scratch:
        first = any_lake.publish(file_with(scratch, b"start"), "t.parquet")
        files = [file_with(scratch, b"version %d" % n) for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda path: any_lake.swap(path, "t.parquet", expected=first) is not None, files))
    assert won.count(True) == 1
    assert any_lake.read("t.parquet") == b"version %d" % won.index(True)


def test_a_swap_of_what_is_no_longer_there_does_nothing(any_lake: Lake) -> None:
    with any_lake.scratch() as scratch:
        old = any_lake.publish(file_with(scratch, b"old"), "t.parquet")
        any_lake.publish(file_with(scratch, b"newer"), "t.parquet")
        assert any_lake.swap(file_with(scratch, b"mine"), "t.parquet", expected=old) is None
        assert any_lake.swap(file_with(scratch, b"mine"), "t.parquet", expected=None) is None
    assert any_lake.read("t.parquet") == b"newer"


def test_a_swap_for_an_object_that_was_deleted_does_nothing_or_says_so(any_lake: Lake) -> None:
    with any_lake.scratch() as scratch:
        old = any_lake.publish(file_with(scratch, b"old"), "t.parquet")
        any_lake.delete("t.parquet")
        try:
            assert any_lake.swap(file_with(scratch, b"mine"), "t.parquet", expected=old) is None
        except LakeAccessError as error:
            assert "t.parquet" in str(error)
    assert any_lake.read("t.parquet") is None


def test_a_file_that_was_staged_in_keeps_its_content_while_others_publish(any_lake: Lake) -> None:
    with any_lake.scratch() as scratch:
        first = any_lake.publish(file_with(scratch, b"first"), "t.parquet")
        staged = any_lake.stage_in("t.parquet", scratch)
        any_lake.swap(file_with(scratch, b"second"), "t.parquet", expected=first)
        assert staged.read_bytes() == b"first"
        any_lake.publish(file_with(scratch, b"third"), "t.parquet")
        assert staged.read_bytes() == b"first"


def test_a_copy_keeps_its_content_when_the_original_is_replaced_and_can_be_made_again(any_lake: Lake) -> None:
    with any_lake.scratch() as scratch:
        any_lake.publish(file_with(scratch, b"first"), "t.parquet")
        any_lake.copy("t.parquet", "archive/1.parquet")
        any_lake.copy("t.parquet", "archive/1.parquet")
        any_lake.publish(file_with(scratch, b"second"), "t.parquet")
    assert any_lake.read("archive/1.parquet") == b"first"


def test_a_reader_sees_one_whole_version_while_others_publish(any_lake: Lake) -> None:
    versions = [bytes([65 + n]) * 400_000 for n in range(6)]
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            seen.add(any_lake.read("t.parquet"))

    with any_lake.scratch() as scratch:
        any_lake.publish(file_with(scratch, versions[0]), "t.parquet")
        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            for content in versions[1:]:
                any_lake.publish(file_with(scratch, content), "t.parquet")
            stop.set()
            for reader in readers:
                reader.result()
    assert seen <= set(versions)


def test_what_is_not_there_is_none_to_ask_for_and_an_error_to_fetch(any_lake: Lake) -> None:
    assert any_lake.head("no/thing") is None
    assert any_lake.read("no/thing") is None
    any_lake.delete("no/thing")
    assert list(any_lake.objects("no/")) == []
    assert any_lake.folders("no/") == []
    with any_lake.scratch() as scratch, pytest.raises(LakeAccessError, match="fetch no/thing"):
        any_lake.stage_in("no/thing", scratch)


def test_objects_after_a_key_leave_that_key_and_all_before_it_out(any_lake: Lake) -> None:
    for number in range(5):
        any_lake.write(f"ledger/{number:03d}.json", b"x")
    assert sorted(one.key for one in any_lake.objects("ledger/", after="ledger/002.json")) == [
        "ledger/003.json",
        "ledger/004.json",
    ]


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(any_lake: Lake) -> None:
    any_lake.write("landing/w/orders/a.csv", b"x")
    any_lake.write("landing/w/orders_old/b.csv", b"x")
    assert [one.key for one in any_lake.objects("landing/w/orders/")] == ["landing/w/orders/a.csv"]
    assert any_lake.folders("landing/w/") == ["orders", "orders_old"]


def test_more_objects_than_a_page_are_all_listed(lake: Lake) -> None:
    assert lake.local_root is not None
    folder = lake.local_root / "landing"
    folder.mkdir()
    for number in range(1500):
        (folder / f"{number}.csv").touch()
    assert len({one.key for one in lake.objects("landing/")}) == 1500


def test_the_same_content_published_twice_is_two_versions_to_a_local_swap(lake: Lake) -> None:
    with lake.scratch() as scratch:
        first = lake.publish(file_with(scratch, b"same"), "t.parquet")
        lake.publish(file_with(scratch, b"same"), "t.parquet")
        assert lake.swap(file_with(scratch, b"mine"), "t.parquet", expected=first) is None


def test_a_scratch_folder_on_another_disk_publishes_as_atomically(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Path("/dev/shm")  # noqa: S108  # a second file system, where there is one
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at hand")
    monkeypatch.setenv("FLOWFORGE_SCRATCH_DIR", str(other / f"flowforge-{os.getpid()}"))
    far = Lake()
    with far.scratch() as scratch:
        first = far.publish(file_with(scratch, b"first"), "t.parquet")
        staged = far.stage_in("t.parquet", scratch)
        assert far.publish_new(file_with(scratch, b"no"), "t.parquet") is None
        assert far.swap(file_with(scratch, b"second"), "t.parquet", expected=first) is not None
        assert far.swap(file_with(scratch, b"no"), "t.parquet", expected=first) is None
        assert staged.read_bytes() == b"first"
    assert far.read("t.parquet") == b"second"
    assert leftovers(far) == []
    assert sorted(path.name for path in (far.local_root or other).rglob("*.parquet")) == ["t.parquet"]


HOLD_SCRATCH = """
import sys, time
from pathlib import Path
from flowforge_resources.scratch import Scratch
with Scratch(Path(sys.argv[1])) as scratch:
    scratch.path(".txt").write_text("x")
    print(scratch.folder, flush=True)
    time.sleep(60)
"""


def test_the_folder_of_a_living_process_stays_and_that_of_a_killed_one_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD_SCRATCH, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().decode().strip())
        with Scratch(tmp_path) as mine, Scratch(tmp_path) as nested:
            assert len({folder, mine.folder, nested.folder}) == 3
            assert all(one.is_dir() for one in (folder, mine.folder, nested.folder))
        other.kill()
        other.wait()
        assert folder.is_dir()
        with Scratch(tmp_path):
            assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_an_access_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LakeAccessError, match="file"):
        Lake(str(tmp_path / "file" / "lake"))


def test_a_full_scratch_disk_says_so_and_changes_no_table(lake: Lake, tmp_path: Path) -> None:
    """The scratch folder lies on a small tmpfs; the run of the second day does not fit."""
    if not can_mount(tmp_path):
        pytest.skip("needs a mount namespace of its own (unshare)")
    land(lake, "shop", SHOP_DAY1)
    defs = shop(tmp_path / "project")
    run_well(defs, "shop")
    rows = "".join(f"{number},{os.urandom(40).hex()},1,2026-02-01\n" for number in range(20_000))
    land(lake, "shop", {"items/items_9.csv": f"item_id,label,price,seen_at\n{rows}"})
    before = objects(lake, "silver", "gold", "quarantine")
    small = tmp_path / "small"
    small.mkdir()

    # Bronze meets the end of a disk of 300 kB, silver that of one with room for bronze alone.
    for size, layer in (("300k", "bronze_items"), ("1500k", "silver_items")):
        said = in_small_disk(small, size, {"FLOWFORGE_SCRATCH_DIR": str(small)})
        assert "success: False" in said
        assert f"shop__{layer}: " in said, said
        assert f"No space left on the device of {small}" in said, said
        assert "FLOWFORGE_SCRATCH_DIR" in said
        assert objects(lake, "silver", "gold", "quarantine") == before
        assert leftovers(lake) == []
    run_well(defs, "shop")
    assert objects(lake, "silver", "gold", "quarantine") != before


def test_a_full_disk_of_the_lake_says_so_and_leaves_no_part_of_an_object(tmp_path: Path) -> None:
    if not can_mount(tmp_path):
        pytest.skip("needs a mount namespace of its own (unshare)")
    said = in_small_disk(tmp_path / "disk", "64k", {"FLOWFORGE_LAKE_URL": str(tmp_path / "disk")}, FILL_LAKE)
    assert said.split() == ["write", "create", "publish", "kept"]


FILL_LAKE = """
from pathlib import Path
from flowforge_resources.errors import ScratchSpaceError
from flowforge_resources.lake import Lake
from flowforge_resources.published import read_published
lake = Lake()
lake.write("t", b"old")
big = Path("big")
big.write_bytes(b"x" * 200_000)
for name, call in {
    "write": lambda: lake.write("t", big.read_bytes()),
    "create": lambda: lake.create("new", big.read_bytes()),
    "publish": lambda: lake.publish(big, "t"),
}.items():
    try:
        call()
    except ScratchSpaceError:
        print(name)
print("kept" if lake.read("t") == b"old" and [one.key for one in lake.objects("")] == ["t"] else list(lake.objects("")))
"""


def can_mount(folder: Path) -> bool:
    probe = folder / "probe"
    probe.mkdir()
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(probe)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def in_small_disk(mount: Path, size: str, environment: dict[str, str], script: str = "") -> str:
    """Run `shop` (or a script) in a process for which `mount` is a small disk; return what it said."""
    mount.mkdir(exist_ok=True)
    program = ["-c", script] if script else [str(Path(__file__).parent / "run_shop.py")]
    command = shlex.join([sys.executable, *program])
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", f"mount -t tmpfs -o size={size} tmpfs {mount} && exec {command}"],
        cwd=mount.parent,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_what_is_published_is_read_whole_while_another_version_is_published(
    any_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding an object and reading its footer, the object is replaced by a longer one."""
    import polars as pl

    with any_lake.scratch() as scratch:
        for name, rows in (("short", 10), ("long", 5_000)):
            frame = pl.DataFrame({"n": range(rows), "text": [f"{number:x}" * 3 for number in range(rows)]})
            frame.write_parquet(scratch.folder / name)
        any_lake.publish(scratch.folder / "short", "t.parquet")
        real_head, waiting = Lake.head, [scratch.folder / "long"]

        def head_then_another_version(lake: Lake, key: str) -> object:
            found = real_head(lake, key)
            if waiting:
                lake._transfer.put(waiting.pop(), key)
            return found

        monkeypatch.setattr(Lake, "head", head_then_another_version)
        published = read_published(any_lake, "t.parquet")

    assert published is not None
    assert published.rows == 5_000
    assert published.object == any_lake.head("t.parquet")
