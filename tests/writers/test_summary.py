"""The summary: the verdict first, every container accounted for, and strangers' text inert."""

import csv
import io
from dataclasses import replace
from datetime import timedelta

import pytest

from analyzer.escape import markdown
from analyzer.evidence import Quantiles
from analyzer.gitops.land.proven import Proof
from analyzer.history import Skipped
from analyzer.models.demand import Step
from analyzer.plots import describe, describe_cluster
from analyzer.recommend.codes import CODES
from analyzer.report import Change, Landing
from analyzer.telemetry import Verdict
from analyzer.writers.glossary import STEPS
from analyzer.writers.kustomize import write_kustomize
from analyzer.writers.summary import SHOWN, why, write_summary
from analyzer.writers.table import write_csv
from tests.samples import histories, recommendation, ref, report, resources

PATCH = "patches/kustomize/shop--deployment--web.yaml"
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
    assert head[1] == (
        "**CPU requests 2 cores → 1.1 cores (−45%) · memory requests 1 GiB → 512 MiB (−50%)**"
    )
    assert head[2].startswith(
        "3 containers · 1 to change (1 down) · 1 right as they are · 1 skipped. Usage from"
    )


def test_a_change_shows_now_and_proposed() -> None:
    """Each amount in its own cell, removed ones as a dash."""
    row = next(line for line in text_of(DOWN).splitlines() if "shop/web" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3:7] == ["1 → **100m**", "2 → **–**", "1Gi → **512Mi**", "2Gi → **–**"]


def test_summary_and_chart_tell_the_same_numbers() -> None:
    """Down, up, both ways, limits alone, right, held and skipped: one line, word for word."""
    kept = replace(
        recommendation(resources("1"), resources("1"), of=ref(workload="kept")),
        trail={"cpu_request": (Step("keep", "900m", "1", "too small a change"),)},
    )
    up = recommendation(resources("1"), resources("2"), of=ref(workload="up"))
    both = recommendation(
        resources("1", "1Gi"), resources("2", "512Mi"), of=ref(workload="both"), replicas=0
    )
    limit = recommendation(
        resources("170m", "1Gi", "1"), resources("170m", "1Gi"), of=ref(workload="limit")
    )
    found, skipped = (DOWN, SAME, kept, up, both, limit), (Skipped(ref("x"), "too short"),)
    line = (
        "7 containers · 4 to change (1 down, 1 up, 1 both ways, 1 in limits alone) · "
        "1 right as they are · 1 held back · 1 skipped."
    )
    assert line in text_of(*found, skipped=skipped)
    assert line in describe_cluster(found, skipped, histories())


def test_a_lone_limit_leaves_the_requests_as_they_are() -> None:
    """Removing a CPU limit is no change of requests, and none is claimed."""
    text = text_of(recommendation(resources("170m", None, "1"), resources("170m")))
    assert "**CPU requests stay 170m · memory requests stay 0 MiB**" in text


@pytest.mark.parametrize("amount", ["1152Mi", "2688Mi", "1500Mi"])
def test_amounts_are_spelled_as_in_the_patches(amount: str) -> None:
    """What a person copies or compares is one text, in the summary and on the chart."""
    found = recommendation(resources("1255m", "100Gi"), resources("1255m", amount))
    assert f"100Gi → **{amount}**" in text_of(found)
    assert f"memory 100Gi → {amount} (" in describe(found)
    assert "CPU stays 1255m" in describe(found)
    assert amount.encode() in write_kustomize(report(found))[PATCH]


def test_what_is_used_is_rounded_alike_everywhere() -> None:
    """66.3m of use reads the same in the summary and in the words of the chart."""
    seen = replace(DOWN.evidence, cpu=Quantiles(0.05, 0.0663, 0.2, 1.3141))
    found = replace(DOWN, evidence=seen)
    assert "it used 66.3m or less for 95 % of the time, and 1.31 cores at most" in text_of(found)
    still = replace(SAME, evidence=seen)
    assert "CPU p95 66.3m, max 1.31 cores" in why(still)
    assert "CPU p95 66.3m and maximum 1.31 cores" in describe(found)


def test_a_short_horizon_is_told_in_hours() -> None:
    """Twelve hours are not nought days."""
    assert "for the next 12 hours." in text_of(DOWN, horizon=timedelta(hours=12))


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


def test_what_is_not_believed_is_told() -> None:
    """A fault of the metrics is named before any amount is."""
    verdict = Verdict(ref(), "cpu", "frozen", 12, 288, "the CPU counter stood still for 1.0 hours")
    text = text_of(DOWN, verdicts=(verdict,))
    assert "## Not believed" in text
    assert "| shop/Deployment/web/app | the CPU counter stood still for 1.0 hours |" in text
    assert text.index("## Not believed") < text.index("## Changes")
    assert "Not believed" not in text_of(DOWN)


def test_what_did_not_land_says_why() -> None:
    """Edited ones are counted by how far they are proven, the others listed with the reason."""
    rendered = Proof(("requests.cpu",), "helm 4.3.1", 1, 2)
    blind = Proof(("requests.cpu",), not_rendered="not rendered: there is no helm on PATH")
    landings = (
        Landing("a", "edited", "r", proven=rendered),
        Landing("c", "edited", "r", proven=blind),
        Landing("d", "edited", "r", proven=blind),
        Landing("b", "advice", "the value comes from a variable", file="x/y.yaml"),
    )
    text = text_of(
        DOWN, landings=landings, changes=(Change("1.patch", "b", "t", "body", "commit", "diff"),)
    )
    assert "Edited: 3 containers in 1 application, see `git/`." in text
    assert "- 1 rendered before and after with helm 4.3.1: what changes is what was" in text
    assert "- 2 checked by their text alone, not rendered: there is no helm on PATH" in text
    assert "| b | x/y.yaml | the value comes from a variable |" in text


def test_what_is_held_back_says_why() -> None:
    """A change that the demand speaks for and that is not made is explained, not only counted."""
    held = recommendation(resources("1"), resources("1"), of=ref(workload="api"))
    step = Step("hands off", "1", "1", "a HorizontalPodAutoscaler scales on it")
    text = text_of(replace(held, trail={**held.trail, "cpu_request": (step,)}))
    assert "## Held back" in text
    assert "CPU is left alone: a HorizontalPodAutoscaler scales on it" in text


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


def test_every_step_that_decides_has_plain_words() -> None:
    """Its code is for programs; a page says what it does."""
    assert set(CODES) <= set(STEPS)
    assert not set(STEPS) & set(STEPS.values()) - {"held"}


def test_what_usage_looks_like_is_said_of_each_resource() -> None:
    """Once where both are alike."""
    made = recommendation(resources("1", "1Gi"), resources("200m", "512Mi"))
    differing = replace(made, findings={"cpu": "bursty", "memory": "growth"})
    assert why(differing).endswith(" · CPU: bursty usage, memory: usage grows")
    assert why(replace(made, findings={"cpu": "steady", "memory": "steady"})).endswith(
        " · steady usage"
    )
