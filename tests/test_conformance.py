"""The checks that a stranger's package runs: our own parts pass them, and broken ones do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from analyzer.conformance import check_model, check_source, check_writer, example_recording
from analyzer.history import Histories
from analyzer.models import MODELS, RESOURCES, RISKS, Demand
from analyzer.sources import open_source, save_recording
from analyzer.writers import WRITERS, Writer


@pytest.mark.parametrize("name", MODELS)
def test_our_models_keep_to_what_they_promise(name: str) -> None:
    """Every model that is built in."""
    check_model(MODELS[name])


@pytest.mark.parametrize("name", WRITERS)
def test_our_writers_keep_to_what_they_promise(name: str) -> None:
    """Every writer that is built in."""
    check_writer(WRITERS[name])


def test_our_recordings_keep_to_what_sources_promise(tmp_path: Path) -> None:
    """The source that can be had anywhere; servers are asked in their own tests."""
    save_recording(example_recording(), tmp_path)
    check_source(open_source(f"recording:{tmp_path}"))


class Flat:
    """A model that says the same of everything."""

    name = "flat"

    def fit(self, histories: Histories, horizon: timedelta) -> Demand:
        """One core, a gigabyte."""
        levels = np.ones((len(histories), len(RISKS)))
        return Demand(
            self.name,
            horizon,
            levels={"cpu": levels.copy(), "memory": levels * 1e9},
            trails={resource: ((),) * len(histories) for resource in RESOURCES},
        )


def test_a_model_of_ten_lines_is_enough() -> None:
    """What is checked can be kept without knowing this project."""
    check_model(Flat)


_calls = count()


def broken(change: Callable[[Demand], Demand]) -> type[Flat]:
    """A model whose demand is changed for the worse."""

    class Broken(Flat):
        def fit(self, histories: Histories, horizon: timedelta) -> Demand:
            return change(super().fit(histories, horizon))

    return Broken


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: replace(d, model="other"), "the name 'flat', found other"),
        (lambda d: replace(d, horizon=timedelta(days=1)), "the horizon"),
        (lambda d: replace(d, levels={**d.levels, "cpu": d.levels["cpu"][:, :2]}), "of shape"),
        (lambda d: replace(d, levels={**d.levels, "cpu": d.levels["cpu"] * RISKS}), "never rise"),
        (lambda d: replace(d, levels={**d.levels, "cpu": -d.levels["cpu"]}), "nought or more"),
        (lambda d: replace(d, levels={**d.levels, "cpu": d.levels["cpu"] * np.nan}), "a reason"),
        (lambda d: replace(d, trails={**d.trails, "memory": ()}), "trails of memory"),
        (
            lambda d: replace(d, levels={**d.levels, "cpu": d.levels["cpu"] + next(_calls)}),
            "the same cpu levels again",
        ),
    ],
)
def test_a_model_that_breaks_a_promise_is_told_which(
    change: Callable[[Demand], Demand], message: str
) -> None:
    """Each promise can be broken, and then says so."""
    with pytest.raises(AssertionError, match=message):
        check_model(broken(change))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda _: {"../x": b""}, "inside the folder"),
        (lambda _: {"/x": b""}, "inside the folder"),
        (lambda _: {"x": "text"}, "bytes in x, found str"),
        (lambda r: {"x": "".join(str(s.ref) for s in r.recommendations).encode()}, "terminal"),
        (lambda _: {"x": str(next(_calls)).encode()}, "the same files again"),
    ],
)
def test_a_writer_that_breaks_a_promise_is_told_which(write: Writer, message: str) -> None:
    """Each promise can be broken, and then says so."""
    with pytest.raises(AssertionError, match=message):
        check_writer(write)
