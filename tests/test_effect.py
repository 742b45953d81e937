"""Settings that do nothing are told, with what was meant."""

from __future__ import annotations

from analyzer.effect import idle_namespaces, idle_prices, idle_rules
from analyzer.policy import Rule
from analyzer.workload import ContainerRef

KNOWN = [
    ContainerRef("lab", "databases", "StatefulSet", "pg", "db"),
    ContainerRef("lab", "media", "Deployment", "plex", "app"),
]


def rule(**patterns: str) -> Rule:
    """A rule that protects."""
    return Rule(set={"direction": "raise"}, **patterns)


def test_a_rule_that_matches_is_not_told() -> None:
    """Globs, and kinds by every word that kubectl takes, in any case."""
    rules = [
        rule(namespace="data*"),
        rule(kind="deployment"),
        rule(kind="sts"),
        rule(kind="StatefulSet"),
        rule(),
    ]
    assert list(idle_rules(rules, KNOWN)) == []


def test_a_rule_that_matches_nothing_says_why() -> None:
    """The pattern that fails, with the likely name; or that they fail only together."""
    rules = [
        rule(namespace="databses"),
        rule(namespace="media"),
        rule(workload="pq*", namespace="databases"),
        rule(namespace="media", workload="pg"),
    ]
    assert list(idle_rules(rules, KNOWN)) == [
        "rule 1 matches nothing: no namespace is 'databses'; did you mean databases?",
        "rule 3 matches nothing: no workload is 'pq*'; there are pg, plex",
        "rule 4 matches nothing: no container has namespace 'media' and workload 'pg'",
    ]


def test_namespaces_that_are_not_there_are_told() -> None:
    """An exclusion that excludes nothing protects nobody; names are names, not patterns."""
    assert list(idle_namespaces("exclude_namespaces", ["medai", "media"], KNOWN)) == [
        "exclude_namespaces: nothing is known of a namespace medai; did you mean media?"
    ]
    assert list(idle_namespaces("namespaces", ["medi*"], KNOWN)) == [
        "namespaces: nothing is known of a namespace medi*; did you mean media?"
    ]


def test_prices_of_nodes_that_are_not_there_are_told() -> None:
    """Money that is not counted would read as money that is not saved."""
    assert list(idle_prices(["*", "gpu", "gpuu"], ["gpu", "general"])) == [
        "prices: no group of nodes is called gpuu; did you mean gpu?"
    ]
    assert list(idle_prices(["gpu"], [])) == [
        "prices: no group of nodes is called gpu; no groups of nodes are told"
    ]
