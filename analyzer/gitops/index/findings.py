"""What a person should look at in a repository, beside the places themselves."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.gitops.index.place import Expectation, Finding
from analyzer.gitops.index.survey import Survey
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.resources import REQUEST_AND_LIMIT


def oddities(survey: Survey) -> Iterator[Finding]:
    """Limits that stand alone or are tight, containers declared twice, places that are shared."""
    yield from _limit_only(survey)
    yield from _tight(survey)
    yield from _duplicates(survey)


def _limit_only(survey: Survey) -> Iterator[Finding]:
    for place in survey.places.values():
        stated = dict(place.declared)
        for request_field, limit_field in REQUEST_AND_LIMIT:
            limit = stated.get(limit_field)
            if limit is not None and request_field not in stated:
                message = (
                    f"{limit_field} {limit} without a request: Kubernetes requests {limit} as well"
                )
                yield Finding("limit-only", place, message)


def _tight(survey: Survey) -> Iterator[Finding]:
    """Limits below what the program was told to take: a kill that has not happened yet."""
    for expectation in survey.expectations:
        limit = expectation.place.stated.memory_limit
        for floor in expectation.floors if limit is not None else ():
            if floor.needs is not None and limit is not None and limit < floor.needs:
                message = f"limits.memory {limit} is tight: {floor.reason}"
                yield Finding("tight", expectation.place, message)


def _duplicates(survey: Survey) -> Iterator[Finding]:
    """Containers that two places declare, and places that decide for several containers."""
    by_identity: dict[tuple[str, str, str, str], list[Expectation]] = {}
    by_place: dict[tuple[str, Address], list[Expectation]] = {}
    for expectation in survey.expectations:
        if expectation.route.reachable is False or not expectation.route.inside:
            continue
        by_identity.setdefault(expectation.identity, []).append(expectation)
        key = (expectation.place.file, expectation.place.address)
        by_place.setdefault(key, []).append(expectation)
    for identity, found in by_identity.items():
        places = {(e.place.file, e.place.address): e.place for e in found}
        if len(places) > 1:
            first, *others = places.values()
            message = f"{'/'.join(identity)} is declared {len(places)} times: also at " + (
                ", ".join(other.where for other in others[:3])
            )
            yield Finding("duplicate", first, message)
    for found in by_place.values():
        names = sorted({"/".join(e.identity) for e in found})
        if len(names) > 1:
            shown = ", ".join(names[:4])
            yield Finding("shared", found[0].place, f"decides for {len(names)}: {shown}")
