"""scikit-learn's logistic regression, loaded without the statistics that it never asks for.

Its modules import ``scipy.stats`` for other estimators: a third of the time that loading it takes,
in every run and in every process of a backtest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


def logistic_regression() -> type[LogisticRegression]:
    """The class, loaded when it is first asked for."""
    if "sklearn.linear_model" not in sys.modules:
        with _put_off("scipy.stats"):
            import_module("sklearn.linear_model")
    from sklearn.linear_model import LogisticRegression

    found: type[LogisticRegression] = LogisticRegression
    return found


@contextmanager
def _put_off(name: str) -> Iterator[None]:
    """What is imported meanwhile gets a stand-in for module `name`, unless it is loaded already.

    Whoever imports the module later gets the module itself, and whoever holds the stand-in or a
    part of it reaches the module through it.
    """
    stand_in = _PutOff(name)
    sys.modules.setdefault(name, stand_in)
    try:
        yield
    finally:
        _give_way(stand_in)


def _give_way(stand_in: ModuleType) -> None:
    """Let the next import of the module find the module itself."""
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]


class _PutOff(ModuleType):
    """Stands for a module that some other module imports and may never use."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is not self:
            return self.real(attribute)
        if attribute.startswith("__"):
            raise AttributeError(attribute)  # what the import machinery asks of any module
        return _Part(self, attribute)

    def real(self, attribute: str) -> Any:
        """What the module itself has under this name."""
        _give_way(self)
        return getattr(import_module(self.__name__), attribute)


class _Part:
    """Stands for one function or object of such a module."""

    def __init__(self, module: _PutOff, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *words: Any, **named: Any) -> Any:
        return self._module.real(self._name)(*words, **named)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._module.real(self._name), attribute)
