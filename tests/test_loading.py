"""What loading the definitions does to the process, besides loading them."""

import subprocess
import sys

ENDING = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 10_000))  # runs after what is registered later
import flowforge_assets.definitions
"""


def test_a_process_ends_without_a_last_look_for_cycles(tmp_path):
    said = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stdout.splitlines()[-1] == "True"
