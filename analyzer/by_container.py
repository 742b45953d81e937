"""Work on samples that is done container by container, wherever their samples are.

`by_container` marks a function that looks at the samples of each container by itself. The answer is
that of single ranges of containers put one after the other, so that ranges can be worked on by
several processes (`analyzer.forked`), or by whoever holds the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import wraps
from itertools import chain, pairwise
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Question:
    """Work on histories, with what is `given` by container and what all containers have `shared`.

    It can be pickled, for `work` is found by its name, and is small beside samples.
    """

    work: Callable[..., Any]
    given: tuple[Any, ...]
    shared: Mapping[str, Any]

    def about(self, rows: slice) -> Question:
        """The same about the containers in `rows` alone."""
        return replace(self, given=tuple(part(each, rows) for each in self.given))

    def answer(self, histories: Any) -> Any:
        """What `work` answers, here and now."""
        return self.work(histories, *self.given, **self.shared)


class Workers(Protocol):
    """Who works on the containers of some histories, range by range."""

    @property
    def processes(self) -> int:
        """How many processes beside the samples, this one included, share work without them."""
        ...

    def run(self, question: Question, histories: Any) -> Any:
        """The answers about all ranges of the containers of `histories`, joined in order."""
        ...

    def between(self, begin: int, stop: int) -> Workers:
        """Who works on ``histories.between(begin, stop)``."""
        ...


class Parted(Protocol):
    """Histories, as far as it takes to ask of a part of them."""

    @property
    def workers(self) -> Workers | None:
        """Who works on them; None for the process that asks."""
        ...

    @property
    def found(self) -> dict[str, Any]:
        """What is known by container already, by the name of what found it."""
        ...

    def __len__(self) -> int: ...

    def part(self, rows: slice) -> Any:
        """The containers in `rows` alone, worked on by the process that asks."""
        ...


P = ParamSpec("P")
H = TypeVar("H", bound=Parted)
T = TypeVar("T")


def by_container(
    find: Callable[Concatenate[H, P], T],
) -> Callable[Concatenate[H, P], T]:
    """`find`, asked range by range of those who work on the histories that it is asked of.

    What stands behind the histories has one entry a container, what is named is the same for all.
    The answer has one entry a container: an array, a list, or a tuple, dictionary or dataclass of
    such. It must not depend on what else is in the range, and no random numbers, sums or orders
    over several containers enter it. It belongs to a module, whose name for it others ask by. An
    answer that needs no more than the histories is kept with them: many steps ask the same.
    """
    name = name_of(find)

    def ask(histories: H, *given: Any, **shared: Any) -> Any:
        if histories.workers is None:
            return find(histories, *given, **shared)
        return histories.workers.run(Question(asked, given, shared), histories)

    @wraps(find)
    def asked(histories: H, /, *given: P.args, **shared: P.kwargs) -> T:
        answer: T
        if given or shared:
            answer = ask(histories, *given, **shared)
            return answer
        if name not in histories.found:
            histories.found[name] = ask(histories)
        answer = histories.found[name]
        return answer

    return asked


def name_of(find: Callable[..., Any]) -> str:
    """By which name the answer of `find` is kept with histories."""
    return f"{find.__module__}.{find.__qualname__}"


def part(value: T, rows: slice) -> T:
    """The entries in `rows` of what has one a container."""
    if isinstance(value, np.ndarray | list):
        return cast("T", value[rows])
    return cast("T", _each(lambda field: part(field, rows), value))


def join(parts: Sequence[T]) -> T:
    """What has one entry a container, from parts of the containers in their order."""
    several: Sequence[Any] = parts
    if isinstance(several[0], np.ndarray):
        return cast("T", np.concatenate([*several]))
    if isinstance(several[0], list):
        return cast("T", [*chain.from_iterable(several)])
    return cast("T", _each(lambda *fields: join(fields), *several))


def _each(make: Callable[..., Any], *records: Any) -> Any:
    """The record whose every field is made of that field of all `records`."""
    head = records[0]
    if isinstance(head, tuple):
        return tuple(make(*several) for several in zip(*records, strict=True))
    if isinstance(head, dict):
        return {key: make(*(record[key] for record in records)) for key in head}
    if is_dataclass(head) and not isinstance(head, type):
        names = [each.name for each in fields(head)]
        made = {name: make(*(getattr(record, name) for record in records)) for name in names}
        return replace(head, **made)
    raise TypeError(f"expected something with an entry per container, found {type(head).__name__}")


def ranges(costs: npt.NDArray[np.int64], number: int) -> list[slice]:
    """All containers in at most `number` ranges that cost about the same, none of them empty.

    One empty range where there is no container.
    """
    before = np.concatenate([[0], np.cumsum(costs)])
    wanted = before[-1] * np.arange(1, number) / number
    edges = sorted({0, *np.searchsorted(before, wanted).tolist(), len(costs)})
    return [slice(low, high) for low, high in pairwise(edges)] or [slice(0, 0)]
