"""Exact CPU and memory amounts in Kubernetes' notation.

`Cpu` counts millicores and `Memory` counts bytes, both as integers, because these are the finest
units the kubelet acts on. Anything finer (``500u`` of CPU, half a byte) rounds **up**: a request
that is rounded down may be too small, one that is rounded up never is.

The accepted syntax is that of the Kubernetes API's ``resource.Quantity``:
a decimal number, then a binary suffix (``Ki`` ... ``Ei``), a decimal suffix (``n`` ``u`` ``m``,
none, ``k`` ``M`` ``G`` ``T`` ``P`` ``E``) or a decimal exponent (``e3``, ``E-3``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, total_ordering
from typing import Any, ClassVar, Literal, Self

from analyzer.errors import UsageError

_SYNTAX = re.compile(
    r"(?P<sign>[+-]?)(?P<number>\d+(?:\.\d*)?|\.\d+)"
    r"(?:[eE](?P<exponent>[+-]?\d{1,3})|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))",
    re.ASCII,
)
_BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", start=1)},
}
_LARGEST = 2**63 - 1
"""Kubernetes caps every quantity at this."""
_LONGEST = 64
"""Characters of the longest number that anybody means."""
_SHORT = 6
"""Characters of an exact amount that people still read at a glance."""

_LARGE_DECIMAL = [(suffix, 1000**power) for power, suffix in enumerate(("", *"kMGTPE"))]


@lru_cache(maxsize=1024)  # a cluster states the same few amounts again and again
def parse_quantity(text: str) -> Fraction:
    """The exact value of a Kubernetes quantity, in its base unit (cores, bytes).

    What is larger than 2^63 - 1 counts as that, as in Kubernetes. Raises `UsageError` when `text`
    is not a quantity.
    """
    if len(text) > _LONGEST:
        raise UsageError(
            f"{text[:12]}... ({len(text)} characters) is too long for a Kubernetes quantity; "
            "write it like 250m, 0.5, 128Mi or 1.5Gi"
        )
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is not a Kubernetes quantity; write it like 250m, 0.5, 128Mi or 1.5Gi"
        )
    value = Fraction(match["number"])
    if match["exponent"] is not None:
        value *= Fraction(10) ** int(match["exponent"])
    elif match["suffix"] in _BINARY:
        value *= _BINARY[match["suffix"]]
    else:
        value *= _DECIMAL[match["suffix"]]
    value = min(value, Fraction(_LARGEST))
    return -value if match["sign"] == "-" else value


@total_ordering
class Quantity:
    """An integer count of one unit, which adds and compares with its own kind alone."""

    __slots__ = ("units",)
    units: int
    unit: ClassVar[str]

    def __init__(self, units: int) -> None:
        if isinstance(units, bool) or not isinstance(units, int):
            raise TypeError(f"{type(self).__name__} counts whole units, not {units!r}")
        object.__setattr__(self, "units", units)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __reduce__(self) -> tuple[type[Self], tuple[int]]:
        return type(self), (self.units,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What notebooks show: the amount alone, as a manifest spells it."""
        printer.text(str(self))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.units == other.units

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.units))

    def _same(self, other: object, action: str) -> int:
        if type(other) is not type(self):
            raise TypeError(f"cannot {action} {type(self).__name__} and {type(other).__name__}")
        return other.units

    def __add__(self, other: object) -> Self:
        return type(self)(self.units + self._same(other, "add"))

    def __sub__(self, other: object) -> Self:
        return type(self)(self.units - self._same(other, "subtract"))

    def __lt__(self, other: object) -> bool:
        return self.units < self._same(other, "compare")

    def __bool__(self) -> bool:
        return self.units != 0

    def human(self) -> str:
        """Short text for people."""
        raise NotImplementedError

    def scale(self, factor: float) -> Self:
        """Multiply by `factor`, rounding up to a whole unit."""
        return type(self)(_ceil(Fraction(self.units) * _exact(factor)))


class Cpu(Quantity):
    """An amount of CPU in whole millicores."""

    __slots__ = ()
    unit: ClassVar[str] = "cores"

    @classmethod
    def parse(cls, text: str | int | float) -> Self:
        """Read a quantity as a manifest spells it (``250m``, ``0.5``, ``2``, ``500u``)."""
        return cls(_ceil(parse_quantity(str(text).strip()) * 1000))

    @classmethod
    def from_cores(cls, cores: float) -> Self:
        """The smallest whole number of millicores that is at least `cores`.

        Less than half a microcore counts for nothing: 0.1 as a float is a little above 100m.
        """
        return cls(_ceil(round(_exact(cores), 6) * 1000))

    @property
    def millicores(self) -> int:
        """Whole millicores."""
        return self.units

    @property
    def cores(self) -> float:
        """Cores, as arrays and charts hold them."""
        return self.units / 1000

    def __str__(self) -> str:
        """Kubernetes' canonical text: whole cores bare, everything else in millicores."""
        return f"{self.units // 1000}" if self.units % 1000 == 0 else f"{self.units}m"

    def human(self) -> str:
        """Short text for people, to three digits: ``35m``, ``1.25``, ``12.5``."""
        if abs(self.units) < 1000:
            return f"{self.units}m"
        return f"{float(f'{self.cores:.3g}'):g}"


class Memory(Quantity):
    """An amount of memory in whole bytes."""

    __slots__ = ()
    unit: ClassVar[str] = "bytes"

    @classmethod
    def parse(cls, text: str | int | float) -> Self:
        """Read a quantity as a manifest spells it (``128Mi``, ``1.5Gi``, ``128M``, ``1e9``)."""
        return cls(_ceil(parse_quantity(str(text).strip())))

    @classmethod
    def from_bytes(cls, count: float) -> Self:
        """The smallest whole number of bytes that is at least `count`."""
        return cls(_ceil(_exact(count)))

    @property
    def bytes(self) -> int:
        """Whole bytes."""
        return self.units

    def __str__(self) -> str:
        """The shortest exact text, binary units first: ``1536Mi``, ``128M``, ``1000``."""
        exact = [
            f"{self.units // size}{suffix}"
            for suffix, size in [*reversed(_BINARY.items()), *_LARGE_DECIMAL]
            if self.units and self.units % size == 0
        ]
        return min(exact, key=len, default=str(self.units))

    def human(self) -> str:
        """Short text: exact where that is short (``1.5Gi``, ``1472Mi``), else three digits."""
        for suffix, size in reversed(_BINARY.items()):
            if abs(self.units) >= size:
                text = f"{float(f'{self.units / size:.3g}'):g}{suffix}"
                exact = str(self)
                short = len(exact) <= _SHORT and type(self).parse(text) != self
                return exact if short else text
        return str(self.units)


def _exact(value: float) -> Fraction:
    if not math.isfinite(value):
        raise ValueError(f"expected a finite amount, found {value!r}")
    return Fraction(value)


def _ceil(value: Fraction) -> int:
    return -((-value.numerator) // value.denominator)


TargetName = Literal["cpu_request", "cpu_limit", "memory_request", "memory_limit"]
TARGETS: tuple[TargetName, ...] = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
"""The four amounts of a container, in the order they are shown in."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a container declares or should declare; None where it declares nothing."""

    cpu_request: Cpu | None = None
    cpu_limit: Cpu | None = None
    memory_request: Memory | None = None
    memory_limit: Memory | None = None

    def amount(self, target: TargetName) -> Cpu | Memory | None:
        """One of the four amounts by its name."""
        amounts: dict[TargetName, Cpu | Memory | None] = {
            "cpu_request": self.cpu_request,
            "cpu_limit": self.cpu_limit,
            "memory_request": self.memory_request,
            "memory_limit": self.memory_limit,
        }
        return amounts[target]

    def with_amount(self, target: TargetName, amount: Quantity | None) -> Resources:
        """The same with another amount at `target`. Raises TypeError for one of another unit."""
        kind = Cpu if target.startswith("cpu") else Memory
        if amount is not None and not isinstance(amount, kind):
            raise TypeError(f"{target} takes {kind.__name__}, not {amount!r}")
        changed: dict[str, Any] = {target: amount}
        return replace(self, **changed)

    def effective(self) -> Resources:
        """As Kubernetes schedules it: a limit without a request is also the request."""
        return Resources(
            cpu_request=self.cpu_limit if self.cpu_request is None else self.cpu_request,
            cpu_limit=self.cpu_limit,
            memory_request=(
                self.memory_limit if self.memory_request is None else self.memory_request
            ),
            memory_limit=self.memory_limit,
        )

    def as_manifest(self) -> dict[str, dict[str, str]]:
        """The `resources` mapping of a container, with canonical quantities and no empty parts."""
        parts = {
            "requests": {"cpu": self.cpu_request, "memory": self.memory_request},
            "limits": {"cpu": self.cpu_limit, "memory": self.memory_limit},
        }
        written = {
            part: {name: str(amount) for name, amount in amounts.items() if amount is not None}
            for part, amounts in parts.items()
        }
        return {part: amounts for part, amounts in written.items() if amounts}


def decode_quantity(kind: type, value: object) -> object:
    """Let msgspec read `Cpu` and `Memory` from text; raises NotImplementedError for others."""
    if kind is Cpu or kind is Memory:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                return Cpu.parse(value) if kind is Cpu else Memory.parse(value)
            except UsageError as error:
                raise ValueError(str(error)) from error
        raise ValueError(f"expected a quantity such as 250m or 1.5Gi, found {value!r}")
    raise NotImplementedError(f"cannot read {kind.__name__} from text")
