"""What a model, a writer or a source of another package has to keep to, as checks to run.

A package that adds one calls these in its own tests::

    from analyzer.conformance import check_model


    def test_my_model_keeps_to_what_is_promised() -> None:
        check_model(MyModel)

Each raises `AssertionError` with what was expected and what was found. They are the checks that
the models, writers and sources of this project pass themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from analyzer.check import OK, PROBLEM, WARNING, Check
from analyzer.history import Histories, build_histories
from analyzer.kinds import DEPLOYMENT
from analyzer.models import RESOURCES, RISKS, Demand, Model, Resource
from analyzer.pipeline.review import analyze
from analyzer.report import Report, dump_report
from analyzer.sources import Source, Window
from analyzer.tables import validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.writers import Files, Writer

_STEP = timedelta(minutes=5)
_END = datetime(2026, 11, 23, tzinfo=UTC)
_DAYS = 15
_HORIZON = timedelta(days=7)
_MIB = 1024**2
_EXAMPLES = ("steady", "daily", "growing", "young", "silent")


def example_recording(only: Sequence[str] = _EXAMPLES) -> Recording:
    """Five unlike containers, or `only` some: two more grow and come late, one has no memory."""
    days = _DAYS
    start = _END - timedelta(days=days)
    steps = days * (timedelta(days=1) // _STEP)
    time = np.arange(steps) / (timedelta(days=1) // _STEP)
    noise = np.random.default_rng(1).uniform(0.9, 1.1, (5, steps))
    wave = 1 + 0.5 * np.sin(2 * np.pi * time)
    cpu = np.array([0.1, 0.5, 0.02, 0.05, 0.2])[:, None] * noise
    cpu[1] *= wave
    memory = np.array([100, 800, 60, 30, np.nan])[:, None] * _MIB * noise
    memory[2] *= 1 + time / days
    cpu[3, : -steps // days] = memory[3, : -steps // days] = np.nan
    frames = [
        pd.DataFrame(
            {
                **_names(name),
                "pod": f"{name}-1",
                "timestamp": [start + (step + 1) * _STEP for step in range(steps)],
                "cpu_cores": cpu[row],
                "memory_bytes": memory[row],
            }
        )
        for row, name in enumerate(_EXAMPLES)
        if name in only
    ]
    frame = pd.concat(frames)
    frame = frame[frame["cpu_cores"].notna() | frame["memory_bytes"].notna()]
    specs = pd.DataFrame(
        [
            {**_names(name), "replicas": 1, "cpu_request_cores": 1.0, "memory_request_bytes": 2e9}
            for name in only
        ]
    )
    meta = Meta("example", start, _END, _STEP)
    return Recording(meta, Usage.from_frame(frame, meta), validate_specs(specs))


def _names(workload: str) -> dict[str, str]:
    return {
        "namespace": "shop",
        "workload_kind": DEPLOYMENT.name,
        "workload": workload,
        "container": "app",
    }


def check_model(make: Callable[[], Model]) -> None:
    """Raise unless the model that `make` gives states its demand as `Model` and `Demand` promise.

    On several histories and on one alone: a level per container and risk that never rises with
    the risk, or none with the reason; steps that led there; and the same again the second time.
    """
    for recording in (example_recording(), example_recording(("steady",))):
        histories = build_histories(recording)
        demand = make().fit(histories, _HORIZON)
        _expect(demand.model == make().name, f"the name {make().name!r}", demand.model)
        _expect(demand.horizon == _HORIZON, f"the horizon {_HORIZON}", demand.horizon)
        for resource in RESOURCES:
            _check_levels(demand, resource, histories)
        again = make().fit(histories, _HORIZON)
        for resource in RESOURCES:
            same = np.array_equal(demand.levels[resource], again.levels[resource], equal_nan=True)
            _expect(same, f"the same {resource} levels again", "others")


def _check_levels(demand: Demand, resource: Resource, histories: Histories) -> None:
    levels = demand.levels[resource]
    shape = (len(histories), len(RISKS))
    _expect(levels.shape == shape, f"{resource} levels of shape {shape}", levels.shape)
    unknown = np.isnan(levels).any(axis=1)
    _expect(bool(np.isnan(levels[unknown]).all()), f"rows of {resource} all NaN or none", "a mix")
    reasons = demand.reasons.get(resource, {})
    silent = [int(index) for index in np.flatnonzero(unknown) if not reasons.get(int(index))]
    _expect(not silent, f"a reason for each {resource} row without levels", f"none for {silent}")
    known = levels[~unknown]
    _expect(bool((known >= 0).all()), f"{resource} levels of nought or more", known.min(initial=0))
    rising = bool((np.diff(known, axis=1) > 1e-9 * np.abs(known[:, 1:])).any())
    _expect(not rising, f"{resource} levels that never rise with the risk", "some that do")
    _expect(
        len(demand.trails[resource]) == len(histories),
        f"{len(histories)} trails of {resource}",
        len(demand.trails[resource]),
    )


def check_writer(write: Writer) -> None:
    """Raise unless `write` gives files as `Writer` promises: inside, of bytes, and the same twice.

    Names from strangers must not act on a terminal, and an empty report is no error.
    """
    report = analyze(example_recording(), model="percentile")
    before = dump_report(report)
    for one in (report, _strange(report), _empty(report)):
        files = write(one)
        _check_files(files)
        _expect(dict(write(one)) == dict(files), "the same files again", "others")
    _expect(dump_report(report) == before, "a report that stays as it was", "a changed one")


def _strange(report: Report) -> Report:
    """The same report of a cluster in which every name is an attack."""
    name = "a\x1b[2J\u202e|<b>`$(x)`"
    rows = tuple(
        replace(r, ref=replace(r.ref, namespace=name, workload=f"{name}{n}", container=name))
        for n, r in enumerate(report.recommendations)
    )
    return replace(report, recommendations=rows)


def _empty(report: Report) -> Report:

    return replace(report, recommendations=(), skipped=())


def _check_files(files: Files) -> None:
    for name, content in files.items():
        path = PurePosixPath(name)
        inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
        _expect(inside and name.isprintable(), "a printable path inside the folder", repr(name))
        _expect(isinstance(content, bytes), f"bytes in {name}", type(content).__name__)
        acting = [c for c in _text(content) if not (c.isprintable() or c in "\n\t\r")]
        _expect(not acting, f"nothing in {name} that acts on a terminal", repr(acting[:3]))


def _text(content: bytes) -> str:
    """The text of a file; empty where it is none, as with images."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""


def check_source(source: Source, window: Window | None = None) -> None:
    """Raise unless `source` reads as `Source` promises; it must have usage within `window`."""
    told = source.describe()
    _expect(bool(told) and told.isprintable(), "one line that names the source", repr(told))
    checks = source.examine(window or Window())
    _expect(bool(checks), "something that was examined", "nothing")
    for check in checks:
        _expect(isinstance(check, Check), "a Check", type(check).__name__)
        _expect(check.status in (OK, WARNING, PROBLEM), "ok, warning or problem", check.status)
    recording = source.read(window or Window())
    meta = recording.meta
    _expect(meta.start < meta.end, "a window with a length", f"{meta.start} to {meta.end}")
    _expect(len(recording.usage.containers) > 0, "usage of some container", "none")
    _expect(len(build_histories(recording)) > 0, "usage that histories are built of", "none")


def _expect(holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise AssertionError(f"expected {expected}, found {found}")
