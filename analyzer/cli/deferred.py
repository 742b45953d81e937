"""Libraries that are loaded on first use, though the modules above them import them at once."""

from __future__ import annotations

import sys
from importlib import import_module
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
