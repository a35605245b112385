"""What loading the definitions does to the process, besides loading them."""

import subprocess
import sys

ENDING = """
import gc
import flowforge_assets.definitions
print(gc.get_freeze_count() > 10_000)
import duckdb, polars
from pathlib import Path
from flowforge_resources.duck import connect
with connect(Path()) as connection:
    print(connection.sql("SELECT 1").fetchall())
"""


def test_no_look_for_cycles_walks_definitions_again_and_a_process_ends_in_silence(tmp_path):
    for _ in range(2):  # the first may have to ask DuckDB about the models' SQL
        ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert ended.stderr == ""
    assert ended.stdout.splitlines()[-2:] == ["True", "[(1,)]"]
