"""What a chart was drawn from: everything it shows, told apart to the last bit."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analyzer.models.forecast import forecasts
from analyzer.plots import describe, workload_charts
from analyzer.plots.chart_data import ChartData
from analyzer.plots.drawing import workload_png
from analyzer.plots.origin import origin, origin_of
from analyzer.plots.png import encode_png
from analyzer.plots.workload import summarise, workload_figure
from tests.plots.scenes import SCENES
from tests.plots.test_png import digest


def data_of(name: str) -> ChartData:
    """What the chart of a scene shows, with a forecast."""
    of, recommended = SCENES[name]()
    return summarise(of, 0, recommended, forecasts(of, timedelta(days=7)).of(0))


def others(value: Any) -> Iterator[Any]:
    """`value` with one thing in it changed, for each thing in it down to bits and letters."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for other in others(getattr(value, field.name)):
                yield replace(value, **{field.name: other})
    elif isinstance(value, np.ndarray):
        yield value[:-1] if len(value) else np.zeros(1)
        for place in {0, len(value) // 2, len(value) - 1} if len(value) else ():
            changed = value.copy()
            changed[place] = not value[place] if value.dtype == bool else _next(value[place])
            yield changed
    elif isinstance(value, Mapping):
        yield {**value, "another": np.zeros(1)}
        for key, held in value.items():
            yield {other: one for other, one in value.items() if other != key}
            yield from ({**value, key: other} for other in others(held))
    elif isinstance(value, tuple):
        yield value[:-1] if value else (0.0,)
        for place, held in enumerate(value):
            yield from ((*value[:place], other, *value[place + 1 :]) for other in others(held))
    else:
        yield from _other_leaves(value)


def _other_leaves(value: Any) -> Iterator[Any]:
    if value is None:
        yield 0.0
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield f"{value} "
    elif isinstance(value, datetime):
        yield value + timedelta(microseconds=1)
    elif isinstance(value, int | float):
        yield _next(value)
    else:
        raise AssertionError(f"a kind of thing that no test changes: {type(value)}")


def _next(number: Any) -> Any:
    """The next larger number that a float can hold; nought for none."""
    return 0.0 if np.isnan(number) else float(np.nextafter(number, np.inf))


@pytest.mark.parametrize("name", ["lowered", "events", "gap"])
def test_whatever_a_chart_shows_is_part_of_its_origin(name: str) -> None:
    """Any bit, letter or entry of any input tells another chart: no old picture for new data."""
    data = data_of(name)
    same = origin(data, "text", dark=False)
    assert same == origin(data_of(name), "text", dark=False)
    found = [origin(other, "text", dark=False) for other in others(data)]
    assert len(found) > 20
    assert same not in found
    assert same not in (origin(data, "tex", dark=False), origin(data, "text", dark=True))


def test_the_code_and_its_libraries_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program draws other pictures of the same."""
    data = data_of("lowered")
    monkeypatch.setattr("analyzer.plots.origin._tools", lambda: b"another")
    other = origin(data, "", dark=False)
    monkeypatch.undo()
    assert other != origin(data, "", dark=False)


def test_the_origin_is_in_the_file_and_changes_no_pixel() -> None:
    """A chart says what it was drawn from; one without, or no chart at all, says nothing."""
    data = data_of("lowered")
    content = workload_png(data, "text", origin(data, "text", dark=False))
    assert origin_of(content) == origin(data, "text", dark=False)
    of, recommended = SCENES["lowered"]()
    expected = forecasts(of, timedelta(days=7)).of(0)
    plain = encode_png(workload_figure(of, 0, recommended, expected), "text")
    assert origin_of(plain) is None
    assert Image.open(io.BytesIO(content)).tobytes() == Image.open(io.BytesIO(plain)).tobytes()
    for strange in (b"", b"no picture", content[:40], plain[:2000]):
        assert origin_of(strange) is None


@pytest.mark.parametrize("processes", [1, 2])
def test_only_what_was_drawn_from_the_same_is_handed_on(processes: int) -> None:
    """The chart before is kept to the byte, told by a mark that none has; others are drawn."""
    of, recommended = SCENES["lowered"]()
    [fresh] = workload_charts(of, [recommended])
    other, unlike = SCENES["raised"]()
    [of_other] = workload_charts(other, [unlike])
    marked = fresh.content + b"drawn before"
    cases = [
        (marked, marked),
        (of_other.content, fresh.content),
        (b"no picture", fresh.content),
        (None, fresh.content),
    ]
    for before, expected in cases if processes == 1 else cases[:2]:
        kept = {recommended.ref: before}
        [got] = workload_charts(of, [recommended], processes=processes, before=kept.get)
        assert digest(got.content) == digest(expected)
        assert got.description == describe(recommended)
