"""Patches at the end of a list: how they are written, what is refused, what is caught."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from analyzer.gitops.text.address import Address
from analyzer.gitops.text.patch_list import Entry, append_patches, prove_appended
from analyzer.gitops.text.refusal import EditRefusedError

HERE = Address(0, ("patches",))
TEXT = """\
# head
resources:
- ../base   # two   spaces
patches:
- path: a.yaml
# - path: off.yaml
"""
ENTRY = Entry("Deployment", "web", {"kind": "Deployment", "spec": {"containers": [{"name": "no"}]}})
GOOD = append_patches(TEXT, HERE, [ENTRY])


def test_what_is_added_says_what_it_should() -> None:
    """Below what is switched off, in the depth of the list, names in quotes where they need any."""
    assert GOOD.startswith(TEXT)
    (before, after) = yaml.safe_load(GOOD)["patches"]
    assert before == {"path": "a.yaml"}
    assert after["target"] == {"kind": "Deployment", "name": "web"}
    assert yaml.safe_load(after["patch"]) == ENTRY.body
    assert prove_appended(TEXT, GOOD, HERE, [ENTRY]) == ""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_line_endings_and_the_end_of_the_file_survive(newline: str, final: bool) -> None:
    """A file of Windows stays one, a file without a last newline as well."""
    text = TEXT.replace("\n", newline)
    text = text if final else text.removesuffix(newline)
    after = append_patches(text, HERE, [ENTRY])
    assert after.endswith(newline) == final
    assert after.count("\n") == after.count(newline)
    assert prove_appended(text, after, HERE, [ENTRY]) == ""


SABOTEURS: dict[str, Callable[[str], str]] = {
    "nothing added": lambda _: TEXT,
    "a comment dropped": lambda text: text.replace("# head\n", ""),
    "padding changed": lambda text: text.replace("e   #", "e #"),
    "an entry before dropped": lambda text: text.replace("- path: a.yaml\n", ""),
    "another order": lambda text: text.replace("- path: a.yaml\n", "") + "- path: a.yaml\n",
    "the wrong object": lambda text: text.replace("    name: web", "    name: other"),
    "the wrong text": lambda text: text.replace('"no"', "maybe").replace("'no'", "maybe"),
    "one key more": lambda text: text + "namespace: x\n",
    "twice": lambda text: append_patches(text, HERE, [ENTRY]),
    "an option more": lambda text: text.replace("  patch:", "  options: {a: true}\n  patch:"),
}


@pytest.mark.parametrize("name", SABOTEURS)
def test_sabotage_is_caught(name: str) -> None:
    """Whatever else an editor does than add the patches is seen."""
    broken = SABOTEURS[name](GOOD)
    assert broken != GOOD
    assert prove_appended(TEXT, broken, HERE, [ENTRY]) != ""


@pytest.mark.parametrize(
    "text",
    [
        "{resources: [a]}\n",
        "patches: []\n",
        "patches: [{path: a}]\n",
        "patches:\n",
        "patches: text\n",
        "patches: [{path: a}]\npatches: [{path: b}]\n",
        "a: &a\n- path: b\npatches: *a\n",
        "patches: &a\n- path: b\nother: *a\n",
        "<<: {patches: [{path: a}]}\nresources: [a]\n",
        "resources: [a]\nsops: {mac: x}\n",
        "# Code generated. DO NOT EDIT.\nresources: [a]\n",
        "other: |\n  no newline at the end",
    ],
)
def test_other_ways_of_writing_are_refused(text: str) -> None:
    """A list in brackets, one that is shared, and files that nobody writes are left alone."""
    with pytest.raises(EditRefusedError):
        append_patches(text, HERE, [ENTRY])


@pytest.mark.parametrize("text", ["a: 1\nspec:\n", "a: 1\nspec: {b: c}\n", "a: 1\nspec: []\n"])
def test_a_refusal_says_what_to_do(text: str) -> None:
    """An empty key or one in brackets is named, and how it would be taken."""
    with pytest.raises(EditRefusedError, match=r"^spec is empty or .* take it away where it is"):
        append_patches(text, Address(0, ("spec", "patches")), [ENTRY])


BELOW = Address(0, ("spec", "postRenderers", 0, "kustomize", "patches"))
AROUND = {
    "nothing": "spec:\n  interval: 1h  # often\n# end\n",
    "in a list of its own": "spec:\n    interval: 1h\n    rest:\n    - a\nlast: 1\n",
    "a renderer": "spec:\n  postRenderers:\n  - kustomize:\n      images:\n      - {name: a}\n",
    "a patch": "spec:\n  postRenderers:\n  - kustomize:\n      patches:\n      - {patch: a}\n",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("around", AROUND)
def test_a_list_is_made_with_all_that_leads_to_it(around: str, newline: str) -> None:
    """Whatever of the way is there already stays as it is."""
    text = AROUND[around].replace("\n", newline)
    after = append_patches(text, BELOW, [ENTRY, ENTRY])
    assert prove_appended(text, after, BELOW, [ENTRY, ENTRY]) == ""
    spec = yaml.safe_load(after)["spec"]
    assert spec["postRenderers"][0]["kustomize"]["patches"][-1]["target"]["name"] == "web"
    assert len(spec["postRenderers"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "spec: {interval: 1h}\n",
        "spec:\n  postRenderers: []\n",
        "spec:\n  postRenderers:\n    - kustomize: {images: [{name: a}]}\n",
        "base: &a\n  b: c\nspec:\n  <<: *a\n",
    ],
)
def test_what_leads_to_a_list_is_not_rewritten(text: str) -> None:
    """Flow style, an empty list and a merged mapping stay as they are."""
    with pytest.raises(EditRefusedError):
        append_patches(text, BELOW, [ENTRY])
