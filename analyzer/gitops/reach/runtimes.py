"""What a container's own settings say its memory must not go below.

Usage tells what a program took, its settings tell what it may take at any time: a Java heap of
2 GiB fills up one day even where two weeks never filled it. Fixed sizes are floors. A size that
the program works out from its limit (a share of it, `maxmemory` out of `limits.memory`) makes the
limit itself a setting: lowering it takes away heap or cache, so it is never lowered here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from analyzer.policy import round_up
from analyzer.quantity import Memory, TargetName

OVERHEAD = 4
"""A program needs its heap or cache and a quarter (1/4) of that for everything else: threads, code
and connections. Tight for a JVM, whose own rule of thumb is a heap of 75 % of the limit."""

_SIZE = r"(?P<amount>\d{1,15})\s*(?P<unit>[kKmMgGtT]?)(?:i?[bB]|i)?(?![\w.])"
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_NET_HEAP = "(?:DOTNET|COMPlus)_GCHeapHardLimit"
_OPEN = r"\s*(?:=\s*)?[\"']?\$"


@dataclass(frozen=True, slots=True)
class _Kind:
    """One way to state a size: in any text, or as the value of a setting with a telling name."""

    what: str
    in_text: re.Pattern[str]
    names: re.Pattern[str] | None = None
    unit: int = 1
    """What a number without a unit counts, in bytes."""
    base: int = 10
    """The base that the number is written in."""
    program: re.Pattern[str] | None = None
    """What names the program whose option it is, where others have one of that name."""


_KINDS = (
    _Kind(
        "its Java heap",
        re.compile(rf"(?:-Xmx|-XX:MaxHeapSize=){_SIZE}"),
        re.compile(
            r"-Xmx|(?:(?:JVM|JAVA)_)?(?:MAX_?HEAP(?:_SIZE)?|XMX)|SOLR_HEAP|"
            r"SPARK_(?:DAEMON|DRIVER|EXECUTOR|WORKER)_MEMORY|"
            r"NEO4J_(?:server|dbms)_memory_heap_max__size|"
            r"(?:server|dbms)\.memory\.heap\.max_size"
        ),
    ),
    _Kind("its direct memory", re.compile(rf"-XX:MaxDirectMemorySize={_SIZE}")),
    _Kind(
        "its page cache",
        re.compile(rf"\b(?:server|dbms)\.memory\.pagecache\.size\s*=\s*{_SIZE}"),
        re.compile(
            r"NEO4J_(?:server|dbms)_memory_pagecache_size|(?:server|dbms)\.memory\.pagecache\.size"
        ),
    ),
    _Kind(
        "its Node.js heap", re.compile(rf"--max[-_]old[-_]space[-_]size[=\s]{_SIZE}"), None, 2**20
    ),
    _Kind(
        "its shared_buffers",
        re.compile(rf"\bshared[-_]buffers\s*=\s*'?{_SIZE}"),
        re.compile("shared[-_]buffers"),
        8192,
    ),
    _Kind(
        "its InnoDB buffer pool",
        re.compile(rf"\binnodb[-_]buffer[-_]pool[-_]size\s*(?:=\s*)?{_SIZE}"),
        re.compile("innodb[-_]buffer[-_]pool[-_]size"),
    ),
    _Kind(
        "its maxmemory",
        re.compile(rf"(?:--|^|\n)[ \t]*maxmemory[=\s]+{_SIZE}"),
        re.compile("maxmemory"),
    ),
    _Kind(
        "its WiredTiger cache",
        re.compile(
            r"(?:--wiredTigerCacheSizeGB|\bcacheSizeGB)[=:\s]+"
            r"(?P<amount>\d{1,6}(?:\.\d{1,4})?)(?P<unit>)(?![\w.])"
        ),
        None,
        2**30,
    ),
    _Kind(
        "its memory watermark",
        re.compile(rf"\bvm_memory_high_watermark[._]absolute\s*=\s*{_SIZE}"),
    ),
    _Kind(
        "its .NET heap",
        re.compile(rf"\b{_NET_HEAP}=(?:0[xX])?(?P<amount>[\da-fA-F]{{1,15}})(?P<unit>)(?!\w)"),
        re.compile(_NET_HEAP),
        base=16,
    ),
    _Kind(
        "its item memory",
        re.compile(rf"(?:^|\s)(?:-m|--memory-limit)[=\s]*{_SIZE}"),
        unit=2**20,
        program=re.compile(r"\bmemcached\b(?!-)"),
    ),
    _Kind(
        "its caches",
        re.compile(rf"\bmemory\.allowedBytes[=\s]{_SIZE}"),
        re.compile(r"memory\.allowedBytes"),
    ),
    _Kind(
        "its server memory",
        re.compile(rf"\bmax_server_memory_usage\s*[=>]\s*{_SIZE}"),
        re.compile("max_server_memory_usage"),
    ),
    _Kind(
        "its server memory",
        re.compile(rf"\bMSSQL_MEMORY_LIMIT_MB={_SIZE}"),
        re.compile("MSSQL_MEMORY_LIMIT_MB"),
        2**20,
    ),
    _Kind("its GOMEMLIMIT", re.compile(rf"\bGOMEMLIMIT={_SIZE}"), re.compile("GOMEMLIMIT")),
)
_SIZED_BY_LIMIT = (
    (
        "its Java heap is a share of the limit",
        re.compile(r"-XX:(?:MaxRAMPercentage|MaxRAMFraction)="),
    ),
    ("its Java heap is filled in elsewhere", re.compile(r"-Xmx[\"']?\$")),
    ("its maxmemory is filled in elsewhere", re.compile(rf"(?:--|^|\n)[ \t]*maxmemory{_OPEN}")),
    (
        "its Node.js heap is filled in elsewhere",
        re.compile(rf"--max[-_]old[-_]space[-_]size{_OPEN}"),
    ),
    (
        "its Node.js heap is a share of the limit",
        re.compile(r"--max[-_]old[-_]space[-_]size[-_]percentage[=\s]"),
    ),
    (
        "its .NET heap is a share of the limit",
        re.compile(rf"\b{_NET_HEAP}Percent=|System\.GC\.HeapHardLimitPercent"),
    ),
    (
        "its memory watermark is a share of the limit",
        re.compile(
            r"\bvm_memory_high_watermark(?:\.relative)?\s*=\s*0?\.\d|"
            r"\bRABBITMQ_VM_MEMORY_HIGH_WATERMARK=0?\.\d"
        ),
    ),
    (
        "its caches are a share of the limit",
        re.compile(r"\bmemory\.allowedPercent[=\s]"),
    ),
    (
        "its server memory is a share of the limit",
        re.compile(r"\bmax_server_memory_usage_to_ram_ratio\s*[=>]"),
    ),
    (
        "its InnoDB buffer pool is a share of the limit",
        re.compile(r"\binnodb[-_]dedicated[-_]server(?:\s*=\s*(?:1|ON|on|true)\b|(?!\S))"),
    ),
)
"""What makes a setting follow the limit. Variables are searched as ``NAME=VALUE``."""
_COLLECTS_EARLIER = frozenset({"GOMEMLIMIT"})
"""Derived from the limit without harm: a lower one makes the garbage collector work earlier."""
_BESIDE_THE_HEAP = ("its direct memory", "its page cache")
"""What a JVM takes outside of its heap, and as well as it."""
_AMOUNTS: Mapping[object, TargetName] = {
    "limits.memory": "memory_limit",
    "requests.memory": "memory_request",
    "limits.cpu": "cpu_limit",
    "requests.cpu": "cpu_request",
}
"""The amounts of a container by the names that a `resourceFieldRef` has for them."""
_PROGRAM_IN = ("image", "repository", "name", "command", "args")
"""Settings that say which program it is."""


_ALONE = re.compile(rf"\A{_SIZE}\Z")
_HEXADECIMAL = re.compile(r"\A(?:0[xX])?(?P<amount>[\da-fA-F]{1,15})(?P<unit>)\Z")


@dataclass(frozen=True, slots=True)
class Floor:
    """One setting that memory must make room for.

    `size` is what the setting states, None where it follows from an amount of the container (`of`)
    or is not to be read; `percent` is the share of the limit that it then is, where that is stated.
    """

    what: str
    size: Memory | None = None
    percent: float | None = None
    source: str = ""
    """What states it, where that is not the container itself."""
    of: TargetName = "memory_limit"
    """The amount that it follows, where it has no size."""
    lowers: bool = False
    """Whether it may follow a lower amount; without any it would be what the node has."""

    @property
    def needs(self) -> Memory | None:
        """The least limit that leaves room beside `size`, as a person would write it."""
        if self.size is None:
            return None
        return round_up(self.size + Memory(-(-self.size.bytes // OVERHEAD)))

    def least_request(self, now: Memory | None) -> Memory | None:
        """What the program itself was told it may take; None where that is not told.

        A request reserves and never kills. Nothing is asked above what is in force `now`.
        """
        return now if self._keeps("memory_request") else _at_most(self.size, now)

    def least_limit(self, now: Memory | None) -> Memory | None:
        """What leaves room beside the size, or what is in force `now` where the size follows it."""
        return now if self._keeps("memory_limit") else _at_most(self.needs, now)

    def _keeps(self, target: TargetName) -> bool:
        """Whether an amount is itself the setting, so that a lower one takes something away."""
        return self.size is None and self.of == target and not self.lowers

    @property
    def reason(self) -> str:
        """Why memory is held, fit to be shown."""
        source = f" (by the {self.source})" if self.source else ""
        if self.lowers:
            return f"{self.what}{source}, and without one it would be what the node has"
        if self._keeps("memory_request"):
            return f"{self.what}{source}, so a lower request would take it away"
        if self.size is None:
            return f"{self.what}{source}, so a lower limit would take it away"
        needs = f"it needs about {self.needs} with what comes on top"
        return f"{self.what} is {self.size}{source}, and {needs}"


def _at_most(amount: Memory | None, now: Memory | None) -> Memory | None:
    return amount if amount is None or now is None else min(amount, now)


def memory_floors(
    settings: object, expand: Callable[[str], str] = lambda text: text
) -> tuple[Floor, ...]:
    """The floors among a container's settings: plain values, the `resources` themselves aside.

    `settings` is a container of a manifest, a custom resource's `spec`, or the part of Helm values
    that holds the `resources`; parts that belong to another container are passed over. `expand`
    puts in the variables that are known.
    """
    pairs = [(name, expand(text)) for name, text in _texts("", settings)]
    program = " ".join(text for name, text in pairs if name in _PROGRAM_IN)
    fixed = [floor for name, text in pairs for floor in _fixed(name, text, program)]
    fixed += _heap_and_more(fixed)
    known = {floor.what for floor in fixed}
    derived = [
        Floor(what, percent=_percent([text for _, text in pairs], what))
        for what, pattern in _SIZED_BY_LIMIT
        if any(pattern.search(text) or pattern.search(f"{name}={text}") for name, text in pairs)
        and not any(what.startswith(fix) for fix in known)
    ]
    derived += [_taken(name, of) for name, of in _references(settings)]
    return tuple(dict.fromkeys([*fixed, *derived]))


def _heap_and_more(fixed: Sequence[Floor]) -> list[Floor]:
    """A heap with what its JVM takes beside it: they add up."""
    largest: dict[str, int] = {}
    for floor in fixed:
        if floor.size is not None:
            largest[floor.what] = max(largest.get(floor.what, 0), floor.size.bytes)
    heap, beside = largest.get(_HEAP), [w for w in _BESIDE_THE_HEAP if w in largest]
    if heap is None or not beside:
        return []
    whole = Memory(heap + sum(largest[what] for what in beside))
    return [Floor(" and ".join((_HEAP, *(w.removeprefix("its ") for w in beside))), whole)]


def _taken(name: str, of: TargetName) -> Floor:
    """What a variable asks that Kubernetes fills in from an amount of the container itself."""
    lowers = of.startswith("cpu") or (of == "memory_limit" and name in _COLLECTS_EARLIER)
    amount = "limit" if of == "memory_limit" else of.replace("_", " ").replace("cpu", "CPU")
    return Floor(f"its {name} is taken from the {amount}", of=of, lowers=lowers)


_HEAP = "its Java heap"


_SHARE = "its Java heap is a share of the limit"
_PERCENT = re.compile(r"-XX:MaxRAMPercentage=(\d{1,3}(?:\.\d{1,4})?)(?![\w.])")


def _percent(texts: Sequence[str], what: str) -> float | None:
    """The share of the limit that a Java heap takes, in percent; of several the last counts."""
    found = [each for text in texts for each in _PERCENT.findall(text)] if what == _SHARE else []
    return float(found[-1]) if found else None


# --- reading settings -------------------------------------------------------------------------


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Every setting as name and text; lists of words as one line, as a shell would see them."""
    if _is_word(value):
        yield name, str(value)
    elif isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and _is_word(value.get("value")):
            yield value["name"], str(value["value"])
            return
        for key, below in value.items():
            if not _of_another(str(key), below):
                inner = below.get("value") if isinstance(below, Mapping) else None
                yield from _texts(str(key), inner if _is_word(inner) else below)
    elif isinstance(value, list):
        yield name, " ".join(str(word) for word in value if _is_word(word))
        for below in value:
            if not _is_word(below) and not _of_another(name, below):
                yield from _texts(name, below)


def _is_word(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _of_another(key: str, value: object) -> bool:
    """Whether a part is the `resources` themselves, or belongs to a container with its own."""
    return key == "resources" or (isinstance(value, Mapping) and "resources" in value)


def _fixed(name: str, text: str, program: str) -> Iterator[Floor]:
    for kind in _KINDS:
        if kind.program is not None and not kind.program.search(program):
            continue
        # Of an option given twice the last one counts, or the larger: the larger one is safe.
        found = list(kind.in_text.finditer(text))
        if not found and kind.names is not None and kind.names.fullmatch(name):
            alone = _HEXADECIMAL if kind.base == 16 else _ALONE
            found = list(alone.finditer(text.strip("'\" ")))
        sizes = [_size_of(each, kind) for each in found]
        if max(sizes, default=0) > 0:
            yield Floor(kind.what, Memory(max(sizes)))


def _size_of(found: re.Match[str], kind: _Kind) -> int:
    """The bytes that a setting states, up to a whole one."""
    unit = 1024 ** _POWERS[found["unit"].lower()] if found["unit"] else kind.unit
    if kind.base != 10:
        return int(found["amount"], kind.base) * unit
    return math.ceil(Fraction(found["amount"]) * unit)


def _references(settings: object, name: str = "size") -> Iterator[tuple[str, TargetName]]:
    """The variables that Kubernetes fills in from amounts of the container itself, and which."""
    own = settings.get("name") if isinstance(settings, Mapping) else None
    for variable, reference in _field_references(settings, name):
        of = _AMOUNTS.get(reference.get("resource"))
        if of is not None and reference.get("containerName") in (None, "", own):
            yield variable, of


def _field_references(settings: object, name: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(settings, list):
        for below in settings:
            yield from _field_references(below, name)
    elif isinstance(settings, Mapping):
        reference = settings.get("resourceFieldRef")
        if isinstance(reference, Mapping):
            yield name, reference
        for key, below in settings.items():
            if not _of_another(str(key), below):
                own = settings.get("name", name) if key == "valueFrom" else key
                yield from _field_references(below, str(own))
