"""Libraries that are loaded on first use, though the modules above them import them at once."""

from __future__ import annotations

import sys
from collections.abc import Collection
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

_LOCK = Lock()


class _Deferred(ModuleType):
    """Stands for a module until something of it is asked for; then it is that module's double.

    The loader of the standard library that does the same loads on the second ``import`` already.
    """

    def __getattr__(self, attribute: str) -> Any:
        name = self.__name__
        with _LOCK:  # of two threads, none may take away what the other has begun to load
            if sys.modules.get(name) is self:
                del sys.modules[name]
        real = import_module(name)
        vars(self).update(vars(real))
        return getattr(real, attribute)


class _AsLoaded(MetaPathFinder, Loader):
    """Finds a part of a deferred package that was loaded while the import asked for its path.

    ``import package.part`` looks for the part before it asks the stand-in where to find it, and
    asking loads the package, part included. Loaded once more, its classes would be others than
    those that the package raises.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._own: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec of what is loaded already; None for all else, which others find."""
        loaded = sys.modules.get(fullname)
        if loaded is None or target is not None or fullname.partition(".")[0] not in self._names:
            return None
        self._own[fullname] = loaded.__spec__
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module as it is."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Give it back its own spec; it has run."""
        module.__spec__ = self._own.pop(module.__name__)


def defer(*names: str) -> None:
    """Let ``import name`` cost nothing until something of the module is asked for.

    A command then pays for the tables and the HTTP client that it uses and for no others, whatever
    its modules import. One that is loaded already, or not installed, is left as it is.
    """
    for name in names:
        spec = None if name in sys.modules else find_spec(name)
        if spec is not None:
            module = _Deferred(name)
            module.__spec__ = spec
            sys.modules[name] = module
    sys.meta_path.insert(0, _AsLoaded(frozenset(names)))
