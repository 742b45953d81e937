"""Selectors of patches mean to us what they mean to kustomize."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from analyzer.gitops.reach.selection import fits_selector
from analyzer.gitops.text.tree import parse

LABELS = "{app: web, tier: front, example.com/part-of: shop}"
SURE = (
    "app=web",
    "app==web",
    "app = web, tier=front",
    "app!=db",
    "app in (web, api)",
    "app in (db,api)",
    "app notin (db)",
    "app notin (web,db),tier",
    "tier",
    "!tier",
    "example.com/part-of in (shop),tier!=back",
    "app=db",
)
OPEN = ("team=a", "team", "!team", "team in (a,b)", "team notin (a)", "app in (web", "app gt 1")


def selected(kubectl: Path, folder: Path) -> set[str]:
    """Which of `SURE` kustomize applies a patch by."""
    (folder / "one.yaml").write_text(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: one, labels: {LABELS}}}\ndata: {{}}\n"
    )
    patches = "".join(
        f'  - target: {{kind: ConfigMap, labelSelector: "{selector}"}}\n'
        f"    patch: |\n      - {{op: add, path: /data/met{number}, value: me}}\n"
        for number, selector in enumerate(SURE)
    )
    (folder / "kustomization.yaml").write_text(f"resources: [one.yaml]\npatches:\n{patches}")
    command = [str(kubectl), "kustomize", str(folder)]
    built = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {selector for number, selector in enumerate(SURE) if f"met{number}:" in built}


def test_a_selector_of_stated_labels_is_judged_as_kustomize_does(
    kubectl: Path, tmp_path: Path
) -> None:
    """By value, by set and by key alone, each of them also the other way round."""
    stated = parse(LABELS)[0].root
    judged = {selector: fits_selector(selector, stated) for selector in SURE}
    met = selected(kubectl, tmp_path)
    assert judged == {selector: selector in met for selector in SURE}


@pytest.mark.parametrize("selector", OPEN)
def test_a_label_that_is_not_stated_leaves_it_open(selector: str) -> None:
    """A transformer on the way may add it; what cannot be read is open as well."""
    assert fits_selector(selector, parse(LABELS)[0].root) is None
    assert fits_selector(selector, None) is None
