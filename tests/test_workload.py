"""Identities and the file names made from them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.workload import ContainerRef, Selector, WorkloadRef, find, parse_reference, slug

SAFE = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)


def test_plain_names_stay_readable() -> None:
    """Ordinary Kubernetes names make the file name a person expects."""
    ref = ContainerRef("c", "media", "Deployment", "sonarr", "app")
    assert ref.slug() == "media--deployment--sonarr--app"
    assert WorkloadRef("c", "media", "Deployment", "sonarr").slug() == "media--deployment--sonarr"


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
@example(["_"])
def test_any_name_makes_a_safe_file_name(names: list[str]) -> None:
    """No name can leave its folder, hide, or carry a character a shell or browser acts on."""
    stem = slug(*names)
    assert SAFE.fullmatch(stem)
    assert len(stem) <= 120
    assert ".." not in stem or "/" not in stem


@given(
    st.lists(st.text(max_size=20), min_size=2, max_size=2),
    st.lists(st.text(max_size=20), min_size=2, max_size=2),
)
def test_different_names_make_different_file_names(one: list[str], other: list[str]) -> None:
    """Two workloads never share a file."""
    assert (slug(*one) == slug(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "b--c"), ("a--b", "c")), (("A",), ("a",)), (("a/b",), ("a-b",)), (("../x",), ("x",))],
)
def test_look_alikes_are_told_apart(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Case, separators and path parts do not collide."""
    assert slug(*one) != slug(*other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sonarr", Selector("x", None, "sonarr")),
        ("deploy/sonarr", Selector("x", "Deployment", "sonarr")),
        ("media/sonarr", Selector("media", None, "sonarr")),
        ("media/sts/db", Selector("media", "StatefulSet", "db")),
        ("media/Deployment/sonarr/app", Selector("media", "Deployment", "sonarr", "app")),
        ("media/MyKind/sonarr", Selector("media", "MyKind", "sonarr")),
        ("deployment.apps/sonarr", Selector("x", "Deployment", "sonarr")),
        ("media/sonarr/app", Selector("media", None, "sonarr", "app")),
    ],
)
def test_references_are_read_as_people_type_them(text: str, expected: Selector) -> None:
    """Short names of kubectl count; the namespace of -n fills in where none is typed."""
    assert parse_reference(text, "x") == expected


@pytest.mark.parametrize("text", ["", "/", "a//b", "a/b/c/d/e", "a/"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    """One sentence says how to write it."""
    with pytest.raises(UsageError, match="names no workload"):
        parse_reference(text)


def test_a_namespace_in_the_place_of_a_workload_is_told_its_flag() -> None:
    """Nothing else that sounds alike is suggested."""
    known = [
        ContainerRef("c", "media", "Deployment", "sonarr", "app"),
        ContainerRef("c", "databases", "StatefulSet", "mariadb", "mariadb"),
    ]
    with pytest.raises(UsageError, match="for all of the namespace say -n media"):
        find(["media"], [], known)


def test_a_selector_matches_what_it_names_and_nothing_else() -> None:
    """Parts left out match everything."""
    ref = ContainerRef("c", "media", "Deployment", "sonarr", "app")
    assert Selector().matches(ref)
    assert Selector(namespace="media", container="app").matches(ref)
    assert not Selector(namespace="media", container="other").matches(ref)
