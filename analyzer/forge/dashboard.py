"""The dashboard: one issue that says what is open, what waits and what is held, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from analyzer.escape import markdown
from analyzer.forge.cycle import ALL_SEEN, NO_NEWS, NOW, STOP, Move, Sight
from analyzer.forge.protocol import Text
from analyzer.workload import slug

_TICKED = re.compile(r"^\s*[-*] \[[xX]\] <!-- rightsize-ask:(\S{1,300}) -->", re.MULTILINE)
_MOST_LEFT = 100
_PARTS = (
    ("Open", ("open", "refresh", "keep")),
    ("Waiting for a turn", ("wait",)),
    ("Held back", ("held", "hands off")),
)


def marker(cluster: str) -> str:
    """What the issue of `cluster` is found by."""
    return f"<!-- rightsize-dashboard:{slug(cluster or 'cluster')} -->"


def asked_for(body: str) -> frozenset[str]:
    """The branches whose boxes a person has ticked."""
    return frozenset(_TICKED.findall(body))


def dashboard(
    cluster: str,
    moves: Sequence[Move],
    score: str = "",
    *,
    sight: Sight = ALL_SEEN,
    asked: Set[str] = frozenset(),
) -> Text:
    """Title and body; the same moves give the same text. `score` is one line on what came true.

    What was `asked` for and still waits keeps its tick: it did not work this time.
    """
    lines = [marker(cluster), "", "What rightsize proposes here, and what it waits for."]
    if not sight.complete:
        lines += ["", "The last run did not look at everything: more may wait than is listed."]
    if score:
        lines += ["", markdown(score)]
    for heading, verbs in _PARTS:
        chosen = [move for move in moves if move.verb in verbs]
        if heading == "Open":  # what waits stands in the order of its turns
            chosen.sort(key=lambda move: move.branch)
        if chosen:
            lines += ["", f"### {heading}", "", *(_item(move, asked) for move in chosen)]
    lines += _left(sight.left)
    lines += [
        "",
        f"Tick a box to have it opened by the next run. The label `{STOP}` on a pull request "
        f"leaves it alone; `{NOW}` on a closed one brings it back.",
    ]
    return Text(f"Right-sizing of {_plain(cluster) or 'this cluster'}", "\n".join(lines) + "\n")


def _left(left: Sequence[tuple[str, str]]) -> list[str]:
    """What no pull request can change, folded; of very many the first."""
    if not left:
        return []
    heading = "1 change that is left to you" if len(left) == 1 else (
        f"{len(left)} changes that are left to you"
    )  # fmt: skip
    items = [f"- {markdown(name)}: {markdown(reason)}" for name, reason in left[:_MOST_LEFT]]
    more = len(left) - _MOST_LEFT
    items += [f"- … and {more} more"] if more > 0 else []
    return ["", f"<details><summary>{heading}</summary>", "", *items, "", "</details>"]


def _item(move: Move, asked: Set[str]) -> str:
    title = (
        move.wanted.text.title if move.wanted else move.request.text.title if move.request else ""
    )
    tick = "x" if move.branch in asked else " "
    may_ask = move.verb in ("wait", "held")
    box = f"[{tick}] <!-- rightsize-ask:{move.branch} --> " if may_ask else ""
    number = f" (#{move.request.number})" if move.request and move.request.number else ""
    # What a run has just done is no news to the next one of the same day, which writes the same.
    done = move.verb in ("open", "refresh") or move.reason == NO_NEWS
    reason = "" if done else f": {markdown(move.reason)}"
    return f"- {box}{markdown(title)}{number}{reason}"


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:60]
