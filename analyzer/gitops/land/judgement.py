"""What two renderings say of the edits between them: one verdict for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from analyzer.gitops.land.aim import AnyAim, AnyClaim, Lost, Shown
from analyzer.gitops.land.proven import Proof
from analyzer.gitops.render.rendering import Move, Rendering, moves


@dataclass(frozen=True, slots=True)
class Verdict:
    """What rendering said of one edit.

    `holds` is None where it could not be asked, and `reason` says why; where it is False, `reason`
    is what speaks against the edit, and `lost` what the edit's own containers would lose by it
    that was not asked for. `handed_on` says that the values of a chart arrive as meant,
    whatever the chart makes of them.
    """

    holds: bool | None
    reason: str = ""
    program: str = ""
    changed: int = 0
    containers: int = 0
    without: str = ""
    handed_on: bool = False
    lost: tuple[Lost, ...] = ()

    def proof(self, fields: Sequence[str]) -> Proof:
        """The proof of an edit of `fields` that this does not speak against."""
        if not self.holds:
            return Proof(tuple(fields), not_rendered=self.reason)
        return Proof(tuple(fields), self.program, self.changed, self.containers, self.without)


Render = Callable[[Sequence[AnyClaim]], Rendering]


def judged(aims: Sequence[AnyAim], render: Render, *, in_values: bool) -> list[Verdict]:
    """One verdict for each aim, of what `render` shows. Raises `RenderError`.

    `in_values`: an edit of Helm values shows in the object that carries them, not in containers.
    """
    before, after = render([]), render([aim.claim for aim in aims])
    moved = moves(before, after)
    if moved and not in_values:
        noise = {(m.owner, m.path, m.sink) for m in moves(before, render([]))}
        moved = [m for m in moved if (m.owner, m.path, m.sink) not in noise]
    shown = Shown(moved, after)
    stray = shown.stray(aims)
    blamed = _blamed(aims, stray, before, render) if stray else {}
    problems = (aim.problem(shown) or blamed.get(id(aim)) for aim in aims)
    return [
        replace(_verdict(shown, found, aim.carried), lost=aim.lost(shown) if found else ())
        for aim, found in zip(aims, problems, strict=True)
    ]


def _blamed(
    aims: Sequence[AnyAim], stray: Sequence[Move], before: Rendering, render: Render
) -> dict[int, str]:
    """What each aim, by its id, moves that nobody meant, looked for in halves of all the claims.

    What only several claims together move is laid to each of them.
    """
    told = f"{stray[0]} changed as well"
    if len(aims) == 1:
        return {id(aims[0]): told}
    spots = {(move.owner, move.path, move.sink) for move in stray}
    found: dict[int, str] = {}
    for half in (aims[: len(aims) // 2], aims[len(aims) // 2 :]):
        after = render([aim.claim for aim in half])
        alone = Shown(moves(before, after), after).stray(half)
        mine = [move for move in alone if (move.owner, move.path, move.sink) in spots]
        if mine:
            found |= _blamed(half, mine, before, render)
    return found or dict.fromkeys(map(id, aims), told)


def _verdict(shown: Shown, problem: str | None, carried: bool) -> Verdict:
    program = shown.program
    if problem is not None:
        return Verdict(False, f"rendered with {program}: {problem}")
    if carried:  # what a chart makes of its values is another matter
        told = f"{program} hands the values on as intended"
        return Verdict(None, told, handed_on=True)
    return Verdict(True, "", program, shown.changed, shown.containers)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of several: what speaks against an edit counts most, then what was rendered.

    A chart that was rendered says more than the object that carries its values.
    """
    if not verdicts:
        return Verdict(None, "applied as it stands, with no kustomization in between")
    against = [verdict for verdict in verdicts if verdict.holds is False]
    rendered = [verdict for verdict in verdicts if verdict.holds]
    if against:
        return against[0]
    if rendered:
        return next((one for one in reversed(rendered) if one.changed), rendered[-1])
    reasons = dict.fromkeys(verdict.reason for verdict in reversed(verdicts))
    handed_on = any(verdict.handed_on for verdict in verdicts)
    return Verdict(None, "; ".join(reasons), handed_on=handed_on)
