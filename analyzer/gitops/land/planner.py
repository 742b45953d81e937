"""From traced changes to edits that are proven on their text, or to advice.

Whoever else an amount decides for has a say, here or in another cluster of the repository.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from analyzer.gitops.index.place import Expectation, Place
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.index.trace import Trace
from analyzer.gitops.land.companion import beside_of, half_done, setting_beside
from analyzer.gitops.land.intent import (
    Intent,
    below_a_floor,
    generated,
    moved_since,
    standing_still,
    told_before,
)
from analyzer.gitops.land.layers import Layer, Layers
from analyzer.gitops.land.outcome import Advice, DesiredChange, Edited, Outcome, Unchanged
from analyzer.gitops.land.proven import Proof
from analyzer.gitops.land.writes import Apart, Beside, Write, new_entries, written
from analyzer.gitops.reach.custom import ANY
from analyzer.gitops.reach.route import Route
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.excerpt import excerpt, in_excerpt
from analyzer.gitops.text.patch_list import prove_appended
from analyzer.gitops.text.refusal import EditRefusedError, off_limits
from analyzer.gitops.text.resources import (
    BY_FIELD,
    REQUEST_AND_LIMIT,
    ROWS,
    Amount,
    Changes,
    Field,
    amounts,
)
from analyzer.gitops.text.spelling import spell
from analyzer.gitops.text.tree import YamlError
from analyzer.gitops.text.verify import prove_text
from analyzer.gitops.text.witness import said
from analyzer.quantity import Memory, Resources
from analyzer.recommend.recommendation import Companion
from analyzer.workload import ContainerRef


def changes_for(stated: Resources, desired: DesiredChange) -> Changes:
    """The amounts to write so that `desired` comes about and nothing else.

    A lower limit lowers a request that Kubernetes defaults from it. So wherever a limit is
    written and no request stands beside it, the request is written along with it: the proposed
    one, else the one in force now.
    """
    changes: dict[Field, Amount | None] = {}
    for row in ROWS:
        wanted = row.of(desired.proposed)
        if row.field in desired.remove:
            changes[row.field] = None
        elif wanted is not None:
            changes[row.field] = wanted
    effective = desired.current.effective()
    for request, limit in REQUEST_AND_LIMIT:
        ceiling, keep = changes.get(limit), BY_FIELD[request].of(effective)
        stated_already = BY_FIELD[request].of(stated) is not None
        if ceiling is not None and keep is not None and not stated_already:
            changes.setdefault(request, min(keep, ceiling))
    return {row.field: changes[row.field] for row in ROWS if row.field in changes}


Pair = tuple[DesiredChange, Trace]
Target = tuple[str, Address]


class Planner:
    """Turns each change into an edit that is proven on the text, or into advice."""

    def __init__(
        self,
        index: RepositoryIndex,
        live: Collection[ContainerRef] | None = None,
        post_renderers: bool = True,
    ) -> None:
        self._index = index
        self._post_renderers = post_renderers
        self._live = None if live is None else {_identity(ref): ref for ref in live}
        self._wanted: dict[Target, list[tuple[Intent, Write]]] = {}
        self._layers = Layers(index)

    def outcomes(self, pairs: Sequence[Pair]) -> list[Outcome]:
        """One outcome for each pair of a change and its trace, in order."""
        intents = [self._intent(*pair) for pair in pairs]
        for intent in intents:
            if isinstance(intent, Intent):
                for write in intent.writes:
                    target = (write.file, write.address)
                    self._wanted.setdefault(target, []).append((intent, write))
        return [
            self._outcome(intent) if isinstance(intent, Intent) else intent for intent in intents
        ]

    def _intent(self, change: DesiredChange, traced: Trace) -> Intent | Advice:
        expectation = traced.expectation
        if traced.place is None or expectation is None:
            return Advice(change, traced, _unplaced(traced))
        if traced.confidence == "unproven":
            return Advice(change, traced, f"the place is not proven: {traced.reason}")
        changes = changes_for(expectation.stated, change)
        writes = tuple(
            Write(field, *expectation.leaf(field), amount, patch=expectation.patch_for(field))
            for field, amount in changes.items()
        )
        if not self._post_renderers and any(write.in_post_renderer for write in writes):
            told = f"{traced.reason}, which git.post_renderers switches off"
            return Advice(change, traced, told)
        return Intent(change, traced, expectation, writes)

    def _outcome(self, intent: Intent) -> Outcome:
        """The outcome of the amounts, and of what is to change with them."""
        outcome, companions = self._amounts_outcome(intent), intent.change.companions
        if isinstance(outcome, Advice) or not companions:
            return outcome
        found = [self._beside(one, intent) for one in companions]
        besides = tuple(one for one in found if isinstance(one, Beside))
        problem = next((one for one in found if isinstance(one, str)), None)
        edited = isinstance(outcome, Edited)
        apart = next((one for one in besides if one.settled == edited), None)
        if problem is None and apart is not None:
            problem = half_done(apart, edited)
        if problem is not None:
            return intent.advice(problem)
        return replace(outcome, besides=besides) if isinstance(outcome, Edited) else outcome

    def _beside(self, one: Companion, intent: Intent) -> Beside | str:
        if one.kind == "setting":
            return setting_beside(one, intent.expectation, self._index)
        return beside_of(one, intent.change.ref, self._index)

    def _amounts_outcome(self, intent: Intent) -> Outcome:
        stated, made = intent.expectation.stated, generated(intent)
        if all(BY_FIELD[write.field].of(stated) == write.amount for write in intent.writes):
            unchanged = Unchanged(intent.change, intent.trace)
            return intent.advice(made) if made else unchanged
        intent = self._set_apart(intent)
        if made and not intent.all_apart:
            return intent.advice(made)
        problem = standing_still(intent) or self._disagreement(intent) or below_a_floor(intent)
        if problem is not None:
            return intent.advice(problem)
        outcome = self._edit(intent)
        moved = moved_since(intent) if isinstance(outcome, Edited) else None
        return outcome if moved is None else intent.advice(moved)

    # --- who else is concerned ---

    def _disagreement(self, intent: Intent) -> str | None:
        """Why one edit cannot serve all that its amounts decide for; None where it can."""
        problems = (self._shared(intent, w, _always) for w in intent.writes if w.apart is None)
        return next((problem for problem in problems if problem is not None), None)

    def _shared(self, intent: Intent, write: Write, carries: Callable[[Route], bool]) -> str | None:
        """What those that an amount decides for by way of what `carries` have against it."""
        target = (write.file, write.address)
        asked = self._wanted[target]
        wanted = [each for each in asked if carries(each[0].expectation.route)]
        if any(other.amount != write.amount for _, other in wanted):
            names = ", ".join(str(each.change.ref) for each, _ in wanted[:3])
            return (
                f"the place decides for {len(wanted)} containers that need different "
                f"amounts: {names}"
            )
        if intent.expectation.container == ANY and len(wanted) > 1:
            return f"which of {len(wanted)} containers the place decides for is not known"
        for other in self._index.fed_by.get(target, []):
            if carries(other.route):
                problem = self._objection(intent, other, [each for each, _ in wanted])
                if problem is not None:
                    return problem
        return None

    def _set_apart(self, intent: Intent) -> Intent:
        """The intent with what its place states for others as well moved to a layer of its own.

        What stands in a file that is written anew by something else moves there, too.
        """
        return replace(intent, writes=tuple(self._moved(intent, w) for w in intent.writes))

    def _moved(self, intent: Intent, write: Write) -> Write:
        """An amount on its way to the nearest layer where nobody objects; as it was without one."""
        why = generated(intent) or self._shared(intent, write, _always)
        for layer in self._layers.of(intent.expectation, write.file) if why else ():
            if self._shared(intent, write, layer.carries) is None and self._is_sure(
                intent, write, layer
            ):
                return self._in_layer(write, layer, why or "")
        return write

    def _is_sure(self, intent: Intent, write: Write, layer: Layer) -> bool:
        """Whether the container that runs can only be the one whose layer this is."""
        mine = intent.expectation.identity
        return all(
            other.identity != mine or not other.route.inside or layer.carries(other.route)
            for other in self._index.fed_by.get((write.file, write.address), [])
            if other.route.reachable is not False
        )

    def _in_layer(self, write: Write, layer: Layer, why: str) -> Write:
        target = (write.file, write.address)
        fed = tuple(e for e in self._index.fed_by.get(target, []) if layer.carries(e.route))
        apart = Apart(target, why, fed)
        address = layer.leaf(write.field)
        return replace(write, file=layer.file, address=address, apart=apart, patch=layer.patch)

    def _objection(
        self, intent: Intent, other: Expectation, wanted: Sequence[Intent]
    ) -> str | None:
        """What another container that the same amount decides for has against the edit."""
        mine = intent.expectation.route
        if other.route.reachable is False or other is intent.expectation:
            return None
        who = "/".join(other.identity)
        if _lands_elsewhere(other, intent.expectation):
            unsure = other.route.reachable is None and mine.reachable is True
            if not unsure and not self._accounted(other, intent):
                return (
                    f"the place also feeds {who} by way of {other.route.entry}, beside "
                    f"{mine.entry}: another cluster or stage, which nothing was measured of; "
                    "change it in an overlay (--entry tells which is this cluster's), or agree "
                    "with those who share it"
                )
        proposed = any(other.is_for(each.change.ref) for each in wanted)
        if self._runs(other) and not proposed:
            return f"the place also decides for {who}, for which nothing is proposed"
        return None

    def _accounted(self, other: Expectation, intent: Intent) -> bool:
        """Whether a container of another entry is one of this cluster's own, and another one."""
        return other.identity != intent.expectation.identity and self._runs(other)

    def _runs(self, expectation: Expectation) -> bool:
        return expectation.route.inside if self._live is None else self._is_live(expectation)

    def _is_live(self, expectation: Expectation) -> bool:
        if expectation.pattern is None and expectation.workload is not None:
            return expectation.identity in (self._live or {})
        return any(expectation.is_for(ref) for ref in (self._live or {}).values())

    # --- the edit ---

    def _edit(self, intent: Intent) -> Outcome:
        """The edit, made and proven in the documents that it is about where that is enough.

        What speaks against it there is found once more in the whole files, and told of these.
        """
        files = {
            write.file: self._index.repository.files[write.file].text for write in intent.writes
        }
        narrow = _in_excerpts(intent.writes, files)
        if narrow is not None:
            outcome = self._made(replace(intent, writes=narrow[0]), narrow[1])
            if isinstance(outcome, Edited):
                pairs = zip(intent.writes, outcome.writes, strict=True)
                writes = tuple(replace(own, exact=made.exact) for own, made in pairs)
                return replace(outcome, writes=writes, place=self._shown(intent, writes))
        return self._made(intent, files)

    def _made(self, intent: Intent, files: Mapping[str, str]) -> Outcome:
        try:
            writes, after = _fitted(intent, files)
        except (EditRefusedError, YamlError) as err:
            return intent.advice(f"{told_before(intent)}{err}")
        if after == files:
            return Unchanged(intent.change, intent.trace)
        problem, names = _proven_text(files, after, writes)
        if problem:
            return intent.advice(f"the edit could not be proven: {problem}")
        return Edited(
            intent.change,
            intent.trace,
            self._shown(intent, writes),
            intent.expectation.stated,
            _amounts_after(intent, writes, after),
            writes,
            Proof(names),
        )

    def _shown(self, intent: Intent, writes: Sequence[Write]) -> Place:
        """The place as people are told of it: where the first amount is written."""
        place, first = intent.place, writes[0]
        above = first.address
        if first.file == place.file and above == place.address.below(*BY_FIELD[first.field].path):
            return place
        return replace(place, file=first.file, address=above, present=True)


def _in_excerpts(
    writes: Sequence[Write], files: Mapping[str, str]
) -> tuple[tuple[Write, ...], dict[str, str]] | None:
    """The writes within the one document of each file that they are about, and the texts of these.

    None where they are about several, or where a whole file is looked at for another reason.
    """
    documents = {(write.file, write.address.document) for write in writes}
    if len(documents) != len(files) or any(write.patch is not None for write in writes):
        return None
    texts: dict[str, str] = {}
    for file, document in documents:
        found = excerpt(files[file], document)
        if found is None or off_limits(files[file]) is not None:
            return None
        texts[file] = found
    return tuple(replace(w, address=in_excerpt(w.address)) for w in writes), texts


def _proven_text(
    files: Mapping[str, str], after: Mapping[str, str], writes: Sequence[Write]
) -> tuple[str, tuple[Field, ...]]:
    """What speaks against the texts after some writes, and which amounts changed there."""
    changed: list[Address] = []
    plain = [write for write in writes if write.patch is None]
    # Without new patches nothing lies between the texts as they were and as they are to be.
    between = after if len(plain) == len(writes) else dict(files) | written(files, plain)
    for file, text in between.items():
        own = [write for write in plain if write.file == file]
        proof = prove_text(files[file], text, [(write.address, write.amount) for write in own])
        if proof.problem is not None:
            return proof.problem, ()
        changed += proof.changed
    for (file, patches), entries in new_entries(writes).items():
        problem = prove_appended(between[file], after[file], patches, entries)
        if problem:
            return problem, ()
    fields = (w.field for w in writes if w.patch is not None or w.address in changed)
    return "", tuple(fields)


def _always(route: Route) -> bool:
    """Whether anything that arrives by a route is concerned: all of it is."""
    return True


def _lands_elsewhere(other: Expectation, mine: Expectation) -> bool:
    """Whether another container is on another cluster or of another stage, as far as can be told.

    Two ways to the same container on the cluster that both name are one.
    """
    to, mine_to = (e.route.entry.partition(" to ")[2] for e in (other, mine))
    if to and to == mine_to and other.identity == mine.identity:
        return False
    return other.route.entry != mine.route.entry or not other.route.inside


def _identity(ref: ContainerRef) -> tuple[str, str, str, str]:
    return ref.namespace, ref.kind, ref.workload, ref.container


def _unplaced(traced: Trace) -> str:
    unproven = traced.confidence == "unproven"
    return f"the place is not proven: {traced.reason}" if unproven else traced.reason


def _fitted(intent: Intent, files: Mapping[str, str]) -> tuple[tuple[Write, ...], dict[str, str]]:
    """The writes and the texts after them, exact where rounding up would pass a limit.

    Raises `EditRefusedError` where a request would stand above its limit.
    """
    writes, after = intent.writes, written(files, intent.writes)
    above = _request_above_limit(_amounts_after(intent, writes, after))
    if above is None:
        return writes, after
    wanted = {write.field: write.amount for write in writes}
    request, limit = wanted.get("requests.memory"), wanted.get("limits.memory")
    if isinstance(request, Memory) and isinstance(limit, Memory) and request <= limit:
        writes = tuple(replace(w, exact=w.field == "requests.memory") for w in writes)
        after = written(files, writes)
        above = _request_above_limit(_amounts_after(intent, writes, after))
    if above is not None:
        raise EditRefusedError(above)
    return writes, after


def _amounts_after(intent: Intent, writes: Iterable[Write], texts: Mapping[str, str]) -> Resources:
    """What the repository states for the container once the texts are in place."""
    declared = dict(intent.expectation.declared)
    for write in writes:
        declared.pop(write.field, None)
        if write.patch is not None and write.amount is not None:
            declared[write.field] = spell(write.amount)
    for file, text in texts.items():
        here = {w.address: w.field for w in writes if w.file == file and w.patch is None}
        found = said(text, list(here))
        declared |= {here[address]: stated for address, stated in found.items()}
    return amounts(declared)


def _request_above_limit(stated: Resources) -> str | None:
    for request, limit in REQUEST_AND_LIMIT:
        asked, ceiling = BY_FIELD[request].of(stated), BY_FIELD[limit].of(stated)
        if asked is not None and ceiling is not None and asked > ceiling:
            name = request.partition(".")[2]
            return (
                f"the {name} request would be {asked}, above the limit of {ceiling} that "
                "stands beside it; change both"
            )
    return None
