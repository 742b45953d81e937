"""The summary: the verdict first, every container accounted for, and strangers' text inert."""

import csv
import io
from dataclasses import replace

import pytest

from analyzer.history import Skipped
from analyzer.report import Change, Landing
from analyzer.writers.summary import SHOWN, markdown, write_summary
from analyzer.writers.table import write_csv
from tests.samples import recommendation, ref, report, resources

DOWN = recommendation(resources("1", "1Gi", "2", "2Gi"), resources("100m", "512Mi"))
SAME = recommendation(resources("1"), resources("1"), of=ref(workload="api"))


def text_of(*parts: object, **changes: object) -> str:
    """The summary of a report."""
    return write_summary(replace(report(*parts), **changes))["summary.md"].decode()  # type: ignore[arg-type]  # test inputs


def test_the_first_lines_are_the_verdict() -> None:
    """What changes in all, how many containers, and what became of each."""
    text = text_of(DOWN, SAME, skipped=(Skipped(ref("x"), "too short"),))
    head = text.split("\n\n")
    assert head[0] == "# Right-sizing lab"
    assert head[1] == ("**CPU requests 2 → 1.1 (−45%) · memory requests 1Gi → 512Mi (−50%)**")
    assert head[2].startswith(
        "2 containers looked at, 1 to change (1 down, 0 up, 0 both ways), "
        "1 right as they are, 1 skipped."
    )


def test_a_change_shows_now_and_proposed() -> None:
    """Each amount in its own cell, removed ones as a dash."""
    row = next(line for line in text_of(DOWN).splitlines() if "shop/web" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3:7] == ["1 → **100m**", "2 → **–**", "1Gi → **512Mi**", "2Gi → **–**"]


def test_only_the_largest_changes_are_listed_and_the_rest_counted() -> None:
    """A summary of 10,000 containers is still read."""
    many = [
        recommendation(resources("1"), resources("100m"), of=ref(workload=f"w{n}"), replicas=n + 1)
        for n in range(SHOWN + 3)
    ]
    text = text_of(*many)
    assert "…and 3 more" in text
    assert f"shop/w{SHOWN + 2} " in text
    assert "shop/w0 " not in text


def test_partial_data_is_said_before_anything_is_recommended() -> None:
    """Warnings stand above the changes."""
    text = text_of(DOWN, warnings=("the server answered for 3 of 14 days",))
    assert text.index("3 of 14 days") < text.index("## Changes")


def test_what_did_not_land_says_why() -> None:
    """Edited ones are counted, the others listed with the reason."""
    landings = (
        Landing("a", "edited", "proven"),
        Landing("b", "advice", "the value comes from a variable", file="x/y.yaml"),
    )
    text = text_of(
        DOWN, landings=landings, changes=(Change("1.patch", "b", "t", "body", "diff", "commit"),)
    )
    assert "1 containers are edited in 1 applications" in text
    assert "| b | x/y.yaml | the value comes from a variable |" in text


def test_operators_and_jobs_are_named_where_no_patch_is_written() -> None:
    """A change without a patch is not passed over in silence."""
    job = recommendation(resources("1"), resources("100m"), of=ref(kind="Job"))
    assert "cannot be changed; change what creates it" in text_of(job)


@pytest.mark.parametrize(
    "name",
    ["a|b", "<script>alert(1)</script>", "[x](http://e)", "`x`", "a\n# b", "*b*", "a\u2028b"],
)
def test_names_are_inert(name: str) -> None:
    """No name can add a cell, a line, a link or HTML."""
    text = text_of(recommendation(resources("1"), resources("100m"), of=ref(name)))
    row = next(line for line in text.splitlines() if "shop/web" in line)
    unescaped = row.replace(r"\|", "")
    assert unescaped.count("|") == 9
    assert "<script" not in text
    assert "](" not in text.replace(r"\](", "")


def test_markdown_leaves_plain_words_alone() -> None:
    """Ordinary names stay readable."""
    assert markdown("media/sonarr-2.app") == "media/sonarr-2.app"


def test_the_table_file_has_every_container_and_runs_no_formula() -> None:
    """A name that starts like a formula is kept as text."""
    evil = recommendation(resources("1"), resources("1"), of=ref("=cmd()"))
    rows = list(
        csv.DictReader(io.StringIO(write_csv(report(DOWN, evil))["recommendations.csv"].decode()))
    )
    assert [row["container"] for row in rows] == ["app", "'=cmd()"]
    assert rows[0]["cpu_request_proposed"] == "0.1"
