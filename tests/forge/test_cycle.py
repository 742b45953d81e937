"""What is to happen to each pull request, decided from what there is; nothing is touched."""

from __future__ import annotations

from dataclasses import replace

from analyzer.forge.cycle import Limits, Move, Scene, Sight, Wanted, decide
from analyzer.forge.dashboard import dashboard
from analyzer.forge.promise import hidden
from analyzer.forge.protocol import PullRequest, Text
from analyzer.forge.remote import Branch
from tests.forge.test_delivery import PREFIX, want

WANTED = [
    want("sonarr", "900Mi", urgency=1),
    want("radarr", "800Mi", urgency=2),
    want("plex", "4096Mi", urgency=3),
]


def refused(one: Wanted) -> PullRequest:
    """A pull request for the same amounts that a person closed."""
    text = Text(one.text.title, hidden("home", one.promises))
    return PullRequest(7, one.branch, text, "closed")


def scene(*opened: Wanted, asked_for: frozenset[str] = frozenset()) -> Scene:
    """Some are open and as they should be; that of radarr was closed by a person."""
    return Scene(
        branches={one.branch: Branch("tip", True, one.digest, "base") for one in opened},
        requests=[PullRequest(n, one.branch, one.text, "open") for n, one in enumerate(opened, 1)],
        last=lambda branch: refused(WANTED[1]) if branch.endswith("radarr") else None,
        moved_under=lambda _branch, _one: False,
        asked_for=asked_for,
    )


def verbs(moves: list[Move]) -> dict[str, str]:
    """What is to happen to each branch."""
    return {move.branch.removeprefix(f"{PREFIX}media-"): move.verb for move in moves}


def test_what_was_refused_is_told_from_what_waits() -> None:
    """With a free turn and without one; a second run says what the first one said."""
    first = decide(WANTED, scene(), Limits(most_open=1))
    assert verbs(first) == {"sonarr": "open", "radarr": "held", "plex": "wait"}
    again = decide(WANTED, scene(WANTED[0]), Limits(most_open=1))
    assert verbs(again) == {"sonarr": "keep", "radarr": "held", "plex": "wait"}
    opened = replace(first[0], request=PullRequest(1, first[0].branch, WANTED[0].text, "open"))
    assert dashboard("home", [opened, *first[1:]]) == dashboard("home", again)


def test_what_waits_for_a_stage_takes_no_turn_and_can_be_asked_for() -> None:
    """The next in the queue is opened; a ticked box opens it, turn or not; what is open stays."""
    held = [replace(WANTED[0], held="staging comes first"), WANTED[2]]
    moves = decide(held, scene(), Limits(most_open=1))
    assert verbs(moves) == {"sonarr": "held", "plex": "open"}
    assert "staging comes first" in dashboard("home", moves).body
    asked = scene(WANTED[2], asked_for=frozenset({WANTED[0].branch}))
    assert verbs(decide(held, asked, Limits(most_open=1))) == {"sonarr": "open", "plex": "keep"}
    kept = decide(held, scene(held[0]), Limits(most_open=1))
    assert verbs(kept)["sonarr"] == "keep"
    assert "(#1): staging comes first" in dashboard("home", kept).body


def test_what_no_pull_request_can_change_is_told_folded() -> None:
    """Each with its reason, names from strangers inert; of very many the first, and how many."""
    left = (("a/<b>/c", "declared *twice*"), *((f"x/{n}", "why") for n in range(120)))
    body = dashboard("home", [], sight=Sight(left=left)).body
    assert "<details><summary>121 changes that are left to you</summary>" in body
    assert "<b>" not in body and "declared \\*twice\\*" in body
    assert "- … and 21 more" in body and "x/99" not in body
    assert "left to you" not in dashboard("home", []).body


def test_of_a_long_queue_only_the_first_are_asked_about() -> None:
    """A thousand that wait are not a thousand questions to the forge."""
    many = [replace(WANTED[0], branch=f"{PREFIX}app-{n}", urgency=(n,)) for n in range(1000)]
    asked: list[str] = []

    def last(branch: str) -> None:
        asked.append(branch)

    moves = decide(many, replace(scene(), last=last), Limits(most_open=5))
    assert len(moves) == 1000 and len(asked) == 100
    assert [move.verb for move in moves].count("open") == 5
