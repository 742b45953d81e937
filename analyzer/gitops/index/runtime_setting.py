"""What programs are told of their memory in the manifests of their containers, as plain text.

Of the settings that hold memory up (`reach.runtimes`), those that stand once, as a number, in the
variables or arguments of a container, where an edit can go: ``GOMEMLIMIT``, the ``-Xmx`` of a JVM
and the ``--max-old-space-size`` of Node.js.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analyzer.gitops.index.scaler import overlap
from analyzer.gitops.reach.route import Arrival
from analyzer.gitops.reach.runtimes import Floor
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.tree import Node, Path
from analyzer.quantity import Memory

_LISTS = ("command", "args")
_GO = "GOMEMLIMIT"
_OTHER_SIZES = re.compile(r"-X(?:ms|mn)|-XX:\w*(?:HeapSize|NewSize)=")
"""A JVM does not start with a heap that begins larger than it may become."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a setting is written: what floors call it, its own name, its option in a text."""

    what: str
    name: str
    option: re.Pattern[str]


_KINDS = (
    _Kind("its GOMEMLIMIT", _GO, re.compile(r"\bGOMEMLIMIT=(?P<amount>[\w.]+)")),
    _Kind("its Java heap", "-Xmx", re.compile(r"-(?:Xmx|XX:MaxHeapSize=)(?P<amount>[\w.]+)")),
    _Kind(
        "its Node.js heap",
        "--max-old-space-size",
        re.compile(r"--max[-_]old[-_]space[-_]size[= ](?P<amount>[\w.]+)"),
    ),
)


@dataclass(frozen=True, slots=True)
class RuntimeSetting:
    """One setting of a container: the text that states it, and where; `problem` is why it stays.

    `amount` begins at `start` of `text`. `path` leads to the text in the `object` that arrives.
    """

    what: str
    name: str
    amount: str
    size: Memory
    text: str
    start: int
    file: str
    address: Address
    object: tuple[str, str]
    path: Path
    problem: str = ""

    @property
    def where(self) -> str:
        """File and path as people read them."""
        return f"{self.file}: {dotted((self.address.inner or self.address).path)}"

    def with_amount(self, amount: str) -> str:
        """The text with another amount, all else as it is."""
        return self.text[: self.start] + amount + self.text[self.start + len(self.amount) :]


def runtime_settings(
    arrival: Arrival, path: Path, floors: Sequence[Floor]
) -> tuple[RuntimeSetting, ...]:
    """The settings among `floors` that stand as plain text in the container at `path`."""
    container = arrival.object.node.at(*path)
    if container is None or not floors:
        return ()
    texts = list(_texts(container))
    return tuple(
        found
        for kind in _KINDS
        for size in [max((f.size for f in floors if f.what == kind.what and f.size), default=None)]
        if size is not None
        for found in _found(kind, size, texts, arrival, path)
    )


def _texts(container: Node) -> Iterator[tuple[Path, str, str]]:
    """The variables and arguments of a container: where, the variable's name, what they say."""
    for number, entry in enumerate(container.sequence("env")):
        text = entry.text("value")
        if text is not None:
            yield ("env", number, "value"), entry.text("name") or "", text
    for key in _LISTS:
        for number, word in enumerate(container.sequence(key)):
            if word.kind == "scalar":
                yield (key, number), "", word.value


def _found(
    kind: _Kind,
    size: Memory,
    texts: Sequence[tuple[Path, str, str]],
    arrival: Arrival,
    path: Path,
) -> Iterator[RuntimeSetting]:
    """The setting of a kind; of several the first, with what speaks against its edit."""
    spots = [
        (below, text, *match.span("amount"))
        for below, _, text in texts
        for match in kind.option.finditer(text)
    ]
    spots += [(b, text, 0, len(text)) for b, name, text in texts if name == kind.name == _GO]
    if not spots:
        return
    below, text, start, end = spots[0]
    problem = f"it stands {len(spots)} times in the container" if len(spots) > 1 else ""
    if kind.name == "-Xmx" and any(_OTHER_SIZES.search(_without_max(t)) for _, _, t in texts):
        problem = problem or "other sizes of its heap (-Xms, -Xmn) would have to follow"
    item = arrival.object
    yield RuntimeSetting(
        kind.what,
        kind.name,
        text[start:end],
        size,
        text,
        start,
        item.file,
        item.address.below(*path, *below),
        (item.kind, arrival.name),
        (*path, *below),
        problem or _patched(arrival, path, str(below[0])),
    )


def _without_max(text: str) -> str:
    return text.replace("-XX:MaxHeapSize=", "")


def _patched(arrival: Arrival, path: Path, key: str) -> str:
    """Which patch on the way has a say in a list of a container; empty where none has."""
    item, route = arrival.object, arrival.route
    name = item.node.text(*path, "name")
    for patch in route.patches:
        if not patch.applies_to(item, arrival.namespace):
            continue
        if patch.is_json:
            pointers = (op.resolved.text("path") or "" for op in patch.node.items)
            said = any(overlap(tuple(p.split("/")[1:]), (*path, key)) for p in pointers)
        else:
            entries = patch.node.sequence(*path[:-1])
            said = any(e.text("name") in (name, None) and e.at(key) is not None for e in entries)
            said = said or any(e.at("$patch") is not None for e in entries)
        if said:
            return f"the patch in {patch.file} has a say in it"
    for one in route.replacements:
        if one.applies_to(item, arrival.namespace) and key in one.field:
            return f"the replacements in {one.file} have a say in it"
    return ""
