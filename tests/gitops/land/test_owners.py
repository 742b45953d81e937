"""Whose a file is, by CODEOWNERS."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.gitops.land.owners import CodeOwners, code_owners, read_rules, team_of


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*", ["a.yaml", "x/y/a.yaml"], []),
        ("*.yaml", ["a.yaml", "x/a.yaml"], ["a.yml"]),
        ("/apps/", ["apps/a", "apps/b/c"], ["apps", "x/apps/a"]),
        ("apps/", ["apps/a", "x/apps/b/c"], ["apps"]),
        ("apps/media", ["apps/media", "apps/media/a/b"], ["x/apps/media", "apps/media2/a"]),
        ("apps/*", ["apps/a"], ["apps/a/b", "x/apps/a"]),
        ("/apps/**/prod/", ["apps/prod/a", "apps/x/y/prod/a"], ["apps/prod", "prod/a"]),
        ("**/logs", ["logs/a", "x/y/logs/a"], ["x/logs2"]),
        ("apps/me?ia", ["apps/media"], ["apps/me/ia", "apps/meia"]),
        ("a.b+(c", ["a.b+(c"], ["aXb+(c"]),
        ("my\\ apps/", ["my apps/a"], ["my/a"]),
    ],
)
def test_a_pattern_covers_what_a_forge_says(
    pattern: str, inside: list[str], outside: list[str]
) -> None:
    """As .gitignore: a slash within ties it to the top, a name covers all below it."""
    owners = CodeOwners(read_rules(f"{pattern} @org/tv"))
    assert [file for file in inside if owners.of(file) != ("org/tv",)] == []
    assert [file for file in outside if owners.of(file)] == []


def test_the_last_rule_that_fits_counts(tmp_path: Path) -> None:
    """One without owners makes it nobody's; paths count from the top of the repository."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "cluster" / "apps").mkdir(parents=True)
    (tmp_path / "CODEOWNERS").write_text(
        "# who\n* @a @org/all # everything\n[Docs]\n/cluster/apps/ @org/apps\n/cluster/apps/x/\n"
    )
    found = code_owners(tmp_path / "cluster")
    assert found.of("flux.yaml") == ("a", "org/all")
    assert found.of("apps/a.yaml") == ("org/apps",)
    assert found.of("apps/x/a.yaml") == ()
    assert code_owners(tmp_path / "cluster" / "apps").of("a.yaml") == ("org/apps",)
    (tmp_path / "CODEOWNERS").unlink()
    (tmp_path / "CODEOWNERS").symlink_to("/etc/passwd")
    assert code_owners(tmp_path).of("root") == ()


def test_a_label_counts_more_than_a_file_and_a_group_more_than_a_person() -> None:
    """Labels have the keys of the metrics."""
    assert team_of("example.org/team", {"example_org_team": "tv"}, ("org/all",)) == "tv"
    assert team_of("team", {}, ("ann", "org/all")) == "org/all"
    assert team_of("team", {}, ("ann",)) == "ann"
    assert team_of("team", {}, ()) is None
