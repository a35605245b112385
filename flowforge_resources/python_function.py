"""A user's Python function, by name: found, loaded once, and told apart from what it was before.

A function is named `package.module:function` (importable from the project) or `file.py:function` (a file beside the
YAML).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class StepError(Exception):
    """What a user wrote cannot work where it stands: a column or function is not there, a type does not fit."""

    def __init__(self, problem: str, fix: str) -> None:
        self.problem, self.fix = problem, fix
        super().__init__(f"{problem} {fix}")


@dataclass(frozen=True)
class PythonFunction:
    """One function, and the folder of the YAML that names it."""

    written: str
    beside: Path

    @staticmethod
    def split(written: str) -> tuple[str, str]:
        """Module or file, and name.

        Raises:
            ValueError: it is not written that way.
        """
        module, _, name = written.rpartition(":")
        if not module or not name.isidentifier():
            raise ValueError(f"`function: {written}` is not written `package.module:function` or `file.py:function`.")
        return module, name

    def load(self) -> Callable[[Any], Any]:
        """The function.

        Raises:
            StepError: no such module or function, it does not import, or is not callable.
        """
        _, name = self.split(self.written)
        module = self._module()
        found = getattr(module, name, None)
        if found is None:
            raise StepError(
                f"`{self.written}`: the module has no '{name}'.{did_you_mean(name, _functions(module))}", "Correct it."
            )
        if not callable(found):
            raise StepError(f"`{self.written}` is {type(found).__name__}, not a function.", "Name a function.")
        function: Callable[[Any], Any] = found
        return function

    @property
    def source_hash(self) -> str:
        """Of the file the function is in, so that a change of a helper or constant beside it counts too."""
        file = self._module().__file__
        return sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""

    def _module(self) -> ModuleType:
        module, _ = self.split(self.written)
        try:
            if not module.endswith(".py"):
                return import_module(module)
            file = self.beside / module
            return _load_file(file, sha256(file.read_bytes()).hexdigest()[:16])
        except FileNotFoundError:
            there = [path.name for path in self.beside.glob("*.py")]
            problem = f"there is no file '{module}' beside the YAML.{did_you_mean(module, there)}"
            raise StepError(problem, "Put it there, or write `package.module:function`.") from None
        except Exception as error:
            problem = f"'{module}' cannot be imported: {type(error).__name__}: {error}."
            raise StepError(problem, "Correct it; what it needs must be installed.") from error


def _functions(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


@lru_cache(maxsize=256)
def _load_file(file: Path, content: str) -> ModuleType:
    """A file as a module, once for each content."""
    name = f"flowforge_beside_{content}_{file.stem}"
    found = spec_from_file_location(name, file)
    if found is None or found.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module
