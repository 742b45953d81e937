"""Settings that have no effect: names that nothing known goes by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from analyzer.plugin import did_you_mean
from analyzer.policy import Rule
from analyzer.workload import ContainerRef

_FIELDS = ("cluster", "namespace", "kind", "workload", "container")


def idle_rules(rules: Sequence[Rule], known: Sequence[ContainerRef]) -> Iterator[str]:
    """One sentence for each rule that matches none of the `known` containers, with the reason."""
    for number, rule in enumerate(rules, start=1):
        if not any(rule.matches(ref) for ref in known):
            yield f"rule {number} matches nothing: {_why_idle(rule, known)}"


def _why_idle(rule: Rule, known: Sequence[ContainerRef]) -> str:
    """The first pattern that matches nothing on its own, or that all together match nothing."""
    stated = {name: getattr(rule, name) for name in _FIELDS if getattr(rule, name) != "*"}
    for name, pattern in stated.items():
        alone = Rule(set={}, **{name: pattern})
        if not any(alone.matches(ref) for ref in known):
            there = sorted({getattr(ref, name) for ref in known})
            return f"no {name} is {pattern!r}; {did_you_mean(pattern, there)}"
    together = " and ".join(f"{name} {pattern!r}" for name, pattern in stated.items())
    return f"no container has {together}" if stated else "there is no container"


def idle_namespaces(
    what: str, names: Sequence[str], known: Sequence[ContainerRef]
) -> Iterator[str]:
    """One sentence for each of the `names` that no `known` container lives in."""
    there = sorted({ref.namespace for ref in known})
    for name in names:
        if name not in there:
            yield f"{what}: nothing is known of a namespace {name}; {did_you_mean(name, there)}"


def idle_prices(priced: Iterable[str], groups: Sequence[str]) -> Iterator[str]:
    """One sentence for each name that a price is set for and that none of the `groups` has."""
    for name in sorted(priced):
        if name != "*" and name not in groups:
            there = did_you_mean(name, sorted(groups)) if groups else "no groups of nodes are told"
            yield f"prices: no group of nodes is called {name}; {there}"
