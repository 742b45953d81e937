"""The interface for scripts and notebooks: a run that is kept, asked and compared."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import rightsize as rs
from analyzer.errors import AnalyzerError

SAMPLE = Path(__file__).resolve().parent.parent / "sample-data" / "recording"
IN_MEDIA: dict[str, Any] = {"namespaces": ["media"]}


@pytest.fixture(scope="module")
def run() -> rs.Study:
    return rs.run(SAMPLE, **IN_MEDIA)


def test_a_run_is_what_the_command_line_finds(run: rs.Study) -> None:
    """One method: the same recording and settings give the same amounts as `analyze`."""
    recording = rs.load_recording(SAMPLE).restrict(lambda namespace: namespace == "media")
    assert rs.analyze(recording).recommendations == run.report.recommendations


def test_every_container_is_listed_found_and_completed(run: rs.Study) -> None:
    """Whatever iteration names can be asked for, in its short forms too."""
    report = run.report
    assert len(run) == len(report.recommendations) + len(report.skipped) == len(list(run))
    assert all(len(run[name].to_frame()) + len(run[name].report.skipped) == 1 for name in run)
    assert run._ipython_key_completions_() == list(run)
    assert "plex" in run and "media/plex" in run and "plexx" not in run
    (ref,) = [r.ref for r in run["plex"].recommendations]
    assert run[ref].recommendations == run["media/deploy/plex/app"].recommendations


def test_samples_of_workloads_whose_containers_share_a_name_are_all_there(run: rs.Study) -> None:
    """No container takes the place of another: each has as many rows as it has alone."""
    both = rs.Part(run, run.report)
    names = [str(r.ref) for r in both.recommendations]
    table = both.samples()
    assert list(table.index.unique("container")) == names
    for name in names[:3]:
        assert len(table.loc[name]) == len(run[name].samples()) > 0


def test_what_is_shown_is_short(run: rs.Study) -> None:
    """A console shows a line, and an amount as a manifest spells it; never arrays."""
    recording = rs.load_recording(SAMPLE)
    part = run["plex"]
    for value in (run, run.histories, recording, run.report, part, part.plot(), run.compare()):
        assert 0 < len(repr(value)) < 300
    (plex,) = part.recommendations
    assert "memory request 2Gi -> " in repr(plex)
    assert repr(rs.Memory.parse("1472Mi")) == "Memory(1472Mi)"
    assert str(part.explain()) == repr(part.explain())


def test_notebooks_show_amounts_and_charts(run: rs.Study, tmp_path: Path) -> None:
    """As markup with the chart in it; the alternative text tells the same."""
    for shown in (run._repr_html_(), run["plex"]._repr_html_()):
        assert "<table>" in shown and "data:image/png;base64," in shown and "alt=" in shown
    charts = run["plex"].plot()
    assert charts.save(tmp_path / "plex.png") == [tmp_path / "plex.png"]
    assert charts.save(str(tmp_path / "all"))[0].read_bytes() == charts[0].content
    assert charts[0].content.startswith(b"\x89PNG")
    dark = run["plex"].plot(dark=True)
    assert dark[0].content != charts[0].content


def test_policies_are_compared_on_what_was_learnt(
    run: rs.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read or fitted again, and the numbers are those of a run by that policy."""
    careful = rs.Policy(memory_request_risk=0.02)
    expected = rs.run(SAMPLE, policy=careful, **IN_MEDIA)
    monkeypatch.setattr("analyzer.study.learn_demand", None)
    monkeypatch.setattr("analyzer.study.read_noting", None)
    comparison = run.compare("lean", careful=careful)
    assert comparison["careful"].recommendations == expected.report.recommendations
    table = comparison.to_frame()
    assert list(table.index) == ["now", "this run", "lean", "careful"]
    memory = table["memory requested, GiB"]
    assert memory["lean"] < memory["this run"] < memory["careful"]
    now = run.report.totals["memory_request"][0]
    assert memory["now"] == pytest.approx(now / 2**30)
    killed = table["containers above the memory request"]
    assert killed["lean"] > killed["this run"] > killed["careful"]
    assert "lean" in comparison._repr_html_()
    each = comparison.containers("memory_request")
    assert (each["careful"] >= each["lean"]).all()


def test_what_is_wrong_is_one_sentence(run: rs.Study, tmp_path: Path) -> None:
    """With what to do instead, as on the command line."""
    for wrong, said in (
        (lambda: run["plexx"], "did you mean media/deployment/plex"),
        (lambda: run[3], "as text, not 3"),  # type: ignore[index]  # a mistake
        (lambda: run.compare("lan"), "no preset 'lan'"),
        (lambda: run.compare(now=rs.Policy()), "there already"),
        (lambda: run.compare("lean", lean=rs.Policy()), "two policies go by one name"),
        (lambda: run.compare("lean", "lean"), "two policies go by one name"),
        (lambda: run.compare({"direction": "raise"}), "is no policy"),  # type: ignore[arg-type]  # a mistake
        (lambda: run.compare().containers("memory"), "no amount 'memory'"),
        (lambda: run.backtest(train="soon"), "train: "),
        (lambda: rs.run(tmp_path / "none"), "no recording"),
        (lambda: rs.run(SAMPLE, windw="3d"), "did you mean window"),
        (rs.run, "no source"),
    ):
        with pytest.raises(AnalyzerError, match=said) as error:
            wrong()
        assert "\n" not in str(error.value)


def test_nothing_to_learn_from_is_a_run_with_its_reasons() -> None:
    """A recording without a usable container is told container by container, and drawn nowhere."""
    empty = rs.load_recording(SAMPLE).restrict(lambda namespace: namespace == "nowhere")
    run = rs.run(empty)
    assert len(run) == 0
    assert run._repr_html_()
    assert run.compare("lean").to_frame()["containers to change"]["lean"] == 0


def test_sliders_weigh_a_policy_without_reading_again(run: rs.Study) -> None:
    """Moving one changes the table to what comparing the same policy says; nothing else moves."""
    box = run.tune()
    *sliders, table = box.children
    assert [slider.value for slider in sliders] == [0.05, 0.1, 0.01]
    as_it_is = table.value
    memory = next(slider for slider in sliders if "pass the request" in slider.description)
    memory.value = 0.01
    asked = run.compare(chosen=rs.Policy(memory_request_risk=0.01)).to_frame().loc["chosen"]
    assert table.value != as_it_is
    for number in ("memory requested, GiB", "containers above the memory request"):
        assert re.search(
            rf"<th>{number}</th>.*?<td>{asked[number]:.2f}</td>\s*</tr>", table.value, re.S
        )
    memory.value = 0.1
    assert table.value == as_it_is


def test_sliders_that_cannot_be_shown_say_what_is_missing(
    run: rs.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, with the way to weigh policies without them."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(AnalyzerError, match=r"install rightsize\[notebook\], or .* run\.compare"):
        run.tune()
