"""Where settings come from: argument, then environment, then default; whichever supplied a value is remembered.

Belongs here: reading `FLOWFORGE_*`. Does not: what a setting is used for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from flowforge_resources.errors import SettingError


@dataclass(frozen=True)
class Setting:
    """One value and who supplied it, so that an error can name both."""

    value: str
    supplied_by: str

    def as_positive_int(self) -> int:
        """Return the value as a whole number above zero, or raise `SettingError`."""
        if self.value.isdecimal() and int(self.value) > 0:
            return int(self.value)
        raise SettingError(self.supplied_by, self.value, "not a whole number above zero.", "Set it to e.g. 2.")


def setting(name: str, default: str, *, argument: str | None = None) -> Setting:
    """Resolve one setting; an empty string counts as not given."""
    if argument:
        return Setting(argument, "the argument")
    if given := os.environ.get(name):
        return Setting(given, f"the environment variable {name}")
    return Setting(default, f"the default of {name}")


def project_root() -> Path:
    """The checkout this package is imported from, or the working directory when it is installed as a wheel."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def lake_url(argument: str | None = None) -> Setting:
    """`FLOWFORGE_LAKE_URL`: `s3://bucket/prefix`, `az://…`, `gs://…`, or a local folder (the default: `lake`)."""
    return setting("FLOWFORGE_LAKE_URL", str(project_root() / "lake"), argument=argument)


def workflows_folder(default: Path) -> Path:
    """`FLOWFORGE_WORKFLOWS`: the folder that has a folder for each workflow, e.g. in a repository of the team's own.

    Raises:
        SettingError: there is no such folder.
    """
    given = setting("FLOWFORGE_WORKFLOWS", str(default))
    folder = Path(given.value).expanduser().resolve()
    if not folder.is_dir():
        fix = "Name the folder that has a folder for each workflow, with its defs.yaml."
        raise SettingError(given.supplied_by, given.value, "not a folder.", fix)
    return folder


def memory_limit() -> Setting:
    """`FLOWFORGE_MEMORY_LIMIT`: what the engines may hold in memory before they spill to scratch, e.g. `1500MB`."""
    return setting("FLOWFORGE_MEMORY_LIMIT", "1GB")


def threads() -> int | None:
    """`FLOWFORGE_THREADS`: worker threads of the engines; None leaves it to the machine's processors."""
    given = setting("FLOWFORGE_THREADS", "")
    return given.as_positive_int() if given.value else None


def scratch_dir(default: Path) -> Path:
    """`FLOWFORGE_SCRATCH_DIR`: local disk for work in progress."""
    return Path(setting("FLOWFORGE_SCRATCH_DIR", str(default)).value)


def user_cache() -> Path:
    """Folder of what can always be made again: `$XDG_CACHE_HOME/flowforge`, by default `~/.cache/flowforge`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowforge"
