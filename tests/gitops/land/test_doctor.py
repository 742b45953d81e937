"""What is wrong with a repository, told before the first edit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.check import Check
from analyzer.errors import GitOpsError
from analyzer.gitops.land.doctor import examine_repository
from analyzer.gitops.render.program import Tools
from tests.gitops.conftest import Plant

HELM_RELEASE = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"


def examined(root: Path, tools: Tools | None = None) -> dict[str, Check]:
    return {finding.check: finding for finding in examine_repository(root, tools=tools)}


def test_a_repository_is_counted(committed: Plant, flux: dict[str, str]) -> None:
    """Files, roots, places and charts are told in numbers; two of three places are alive."""
    found = examined(committed(flux))
    assert found["files"].found == "7 YAML files read"
    assert found["places"].found == "3 places: 2 reachable, 1 dead; deciding for 2 containers"
    assert found["roots"].status == "ok"
    assert found["working tree"].found == "nothing uncommitted"
    assert found["charts"].found == "0 of 1 charts are at hand, missing: app-template 3.7.3"
    assert found["limit-only"].found.startswith("2 limits without a request")


def test_what_is_missing_or_broken_is_a_warning(committed: Plant, flux: dict[str, str]) -> None:
    """A changed file, a broken one, a sealed one and missing programs each have their advice."""
    root = committed(flux)
    text = (root / HELM_RELEASE).read_text("utf-8")
    (root / HELM_RELEASE).write_text(text + "sops: {mac: x}\n", "utf-8")
    (root / "broken.yaml").write_text("a: [\n", "utf-8")
    found = examined(root)
    assert "2 files with uncommitted changes" in found["working tree"].found
    assert found["files"].advice == "mend what does not parse: broken.yaml"
    assert found["sealed"].found == f"1 file sealed by SOPS: {HELM_RELEASE}"
    assert "2 places: the file is encrypted with SOPS" in found["refused"].found
    assert (found["helm"].status, found["helm"].found) == ("warning", "not on PATH")


def test_a_refused_field_is_told_in_words(committed: Plant, flux: dict[str, str]) -> None:
    """The place stands once at the end, so the reason speaks of its field alone."""
    root = committed(flux)
    text = (root / HELM_RELEASE).read_text("utf-8")
    variable = re.sub(r"( memory: )\S+", r"\1${SIZE}", text, count=1)
    (root / HELM_RELEASE).write_text(variable, "utf-8")
    refused = examined(root)["refused"].found
    assert re.match(r"1 place: its (requests|limits)\.memory is '\$\{SIZE\}', which", refused)


def test_the_programs_are_named_with_their_versions(
    helm: Path, kubectl: Path, plant: Plant, flux: dict[str, str]
) -> None:
    """Who reads a proof wants to know what rendered it."""
    found = examined(plant(flux), Tools(kubectl, helm))
    assert found["helm"].found.startswith("helm ")
    assert found["kubectl"].found.startswith("kubectl 1.")
    assert "no git work tree" in found["working tree"].found


def test_a_repository_of_something_else_is_a_problem(plant: Plant) -> None:
    """No place at all: most likely the wrong folder."""
    found = examined(plant({"values.yaml": "a: 1\n"}))
    assert found["places"].status == "problem"
    assert "--repo" in found["places"].advice
    assert "--entry" in found["roots"].advice


def test_no_repository_is_an_error_in_words(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(GitOpsError, match="found none at"):
        examine_repository(tmp_path / "missing")
