"""What can be added by name: built-in parts in a plain table, others by entry points.

A table holds ``module:name`` and not the part itself, so that naming all models or writers loads
none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from analyzer.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
_MOST_NAMED = 20


class Plugins(Mapping[str, T], Generic[T]):
    """The built-in parts of one kind, by name; `named` also finds those of other packages.

    `what` is the word for one of them, `group` the entry-point group of other packages' ones.
    """

    def __init__(self, what: str, group: str, builtin: Mapping[str, str]) -> None:
        self.what = what
        self.group = group
        self._builtin = dict(builtin)

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._builtin[name].partition(":")
        found: T = getattr(import_module(module), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._builtin)

    def __len__(self) -> int:
        return len(self._builtin)

    def named(self, name: str) -> T:
        """The part called `name`, built in or of an installed package.

        Raises `UsageError` for an unknown name, and for one whose package cannot be loaded.
        """
        self.check(name)
        if name in self._builtin:
            return self[name]
        entry = self._added()[name]
        try:
            found: T = entry.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the {self.what} {name!r} of {entry.value} cannot be loaded: {error}"
            ) from error
        return found

    def check(self, name: str) -> None:
        """Raise `UsageError` unless something is called `name`; loads nothing."""
        if name in self._builtin:
            return
        known = [*self._builtin, *sorted(self._added())]
        if name not in known:
            raise UsageError(f"there is no {self.what} {name!r}; {did_you_mean(name, known)}")

    def _added(self) -> dict[str, EntryPoint]:
        # It reads mail headers and archives, which no start should load.
        from importlib.metadata import entry_points

        return {entry.name: entry for entry in entry_points(group=self.group)}


def did_you_mean(name: str, known: list[str], *, all_of_them: str = "there are") -> str:
    """The likely one of `known` for a mistyped name, or all of them."""
    import difflib  # loaded for mistakes alone

    close: list[Any] = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    more = f", and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    return f"{all_of_them} {', '.join(known[:_MOST_NAMED]) or 'none'}{more}"
