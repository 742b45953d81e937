"""Restarts are rises of a counter, however it is scraped."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analyzer.sources import PrometheusSource, Window
from analyzer.sources.prometheus.events import _rises
from analyzer.sources.prometheus.raw import corners
from tests.sources.smallcluster import END
from tests.sources.weather import Weather, proxy


@pytest.mark.parametrize(
    ("samples", "rises"),
    [
        ([(0, 0), (60, 0), (120, 1), (180, 1)], [120]),
        ([(0, 3), (60, 3)], []),
        ([(0, 0), (60, 2), (120, 3)], [60, 120]),
        # A new pod under the same name starts anew.
        ([(0, 4), (60, 0), (1200, 1)], [1200]),
        # The second replica of a pair is half a minute late.
        ([(0, 0), (30, 0), (60, 1), (90, 0), (120, 1), (150, 1)], [60]),
    ],
)
def test_each_restart_counts_once(samples: list[tuple[float, float]], rises: list[float]) -> None:
    """The first sample is no rise; a late replica is no second one."""
    assert list(_rises(samples)) == rises


def test_corners_keep_every_rise() -> None:
    """What lies between two equal samples says nothing."""
    samples = [(0.0, 0.0), (60.0, 0.0), (120.0, 0.0), (180.0, 1.0), (240.0, 1.0), (300.0, 1.0)]
    assert corners(samples) == [(0, 0), (120, 0), (180, 1), (300, 1)]
    assert corners([]) == []


@pytest.mark.parametrize(("hours", "asked"), [(48, True), (6, False)])
def test_a_counter_that_rose_before_the_window_is_asked_about_no_further(
    small_server: str, hours: int, asked: bool
) -> None:
    """db-0 was restarted twelve hours before the end: of six hours nobody needs its samples."""
    sky = Weather(lambda answer: answer, times=0)
    with proxy(small_server, sky) as url:
        PrometheusSource(url).read(Window(END, timedelta(hours=hours)))
    looked = [body for body in sky.bodies if b"restarts_total" in body and b"db-0" in body]
    assert bool(looked) == asked
