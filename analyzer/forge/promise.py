"""What a pull request promises, in a form that a later run can read out of its body.

A hidden comment holds the amounts, the stated risks and the predicted usage, as JSON in base64: no
name from a cluster can end the comment or reach Markdown. Whoever edits the words around it does no
harm.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

_HIDDEN = re.compile(r"<!-- rightsize-promise:([A-Za-z0-9+/=]{1,1000000}) -->")


_Amount = Annotated[int, msgspec.Meta(ge=0, le=2**60)]
_Level = Annotated[float, msgspec.Meta(ge=0, le=2**60)]
"""Whoever may edit a description may write what they like into it."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What is promised of one container: amounts in millicores and bytes, risks as fractions.

    `predicted` is usage by resource: the cores that it stays at or below for 95 % of the time, and
    the bytes that the highest memory until the next review exceeds as often as not.
    """

    namespace: str
    kind: str
    workload: str
    container: str
    before: dict[str, _Amount] = {}
    after: dict[str, _Amount] = {}
    risk: dict[str, float] = {}
    predicted: dict[str, _Level] = {}


class _Promises(msgspec.Struct, frozen=True, kw_only=True):
    cluster: str = ""
    containers: tuple[Promise, ...] = ()


def hidden(cluster: str, promises: Iterable[Promise]) -> str:
    """The comment that holds `promises`, for the end of a body."""
    text = msgspec.json.encode(_Promises(cluster=cluster, containers=tuple(promises)))
    return f"<!-- rightsize-promise:{base64.b64encode(text).decode('ascii')} -->"


def promised(body: str) -> tuple[Promise, ...]:
    """The promises in `body`; none where there are none, or somebody has spoiled them."""
    found = _HIDDEN.search(body)
    if found is None:
        return ()
    try:
        text = base64.b64decode(found.group(1), validate=True)
        return msgspec.json.decode(text, type=_Promises).containers
    except (binascii.Error, msgspec.MsgspecError):
        return ()


def largest_move(old: Iterable[Promise], new: Iterable[Promise]) -> float:
    """The largest relative difference between two promises, over all amounts of all containers.

    A container or an amount that only one of them has counts as infinitely different.
    """
    left, right = _amounts(old), _amounts(new)
    if left.keys() != right.keys():
        return float("inf")
    moves = [abs(right[key] - left[key]) / max(left[key], 1) for key in left]
    return max(moves, default=0.0)


def same_start(old: Iterable[Promise], new: Iterable[Promise]) -> bool:
    """Whether both start from the same amounts of the same containers."""
    left, right = ({key_of(one): one.before for one in promises} for promises in (old, new))
    return left == right


Key = tuple[str, str, str, str]


def key_of(promise: Promise) -> Key:
    """Which container it is about."""
    return (promise.namespace, promise.kind, promise.workload, promise.container)


def _amounts(promises: Iterable[Promise]) -> Mapping[tuple[str, ...], int]:
    return {
        (*key_of(one), target): amount for one in promises for target, amount in one.after.items()
    }
