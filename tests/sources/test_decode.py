"""Answers are decoded as they arrive: the same numbers, however the bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources.prometheus.decode import MatrixDecoder, read_numbers
from analyzer.sources.prometheus.failure import MalformedError

LABELS = st.dictionaries(
    st.sampled_from(["pod", "values", "metric", "image"]),
    st.text() | st.sampled_from(['"values":[[1,"2"]]}', '{"metric":{', "]]},{", "\\", '\\"']),
    max_size=3,
)
VALUES = st.sampled_from(["NaN", "+Inf", "-Inf"]) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)
POINTS = st.lists(
    st.tuples(st.integers(0, 2**33) | st.floats(0, 2e9, allow_nan=False), VALUES),
    min_size=1,
    max_size=4,
)
SERIES = st.lists(st.tuples(LABELS, POINTS), max_size=5)


def answer(series: list[tuple[dict[str, str], Any]], **more: Any) -> bytes:
    result = [{"metric": labels, "values": points} for labels, points in series]
    body = {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def decode(body: bytes, size: int) -> list[tuple[dict[str, str], list[float], list[float]]]:
    decoder = MatrixDecoder()
    batches = [decoder.feed(body[low : low + size]) for low in range(0, len(body), size)]
    batches.append(decoder.finish()[1])
    found = []
    for batch in batches:
        if batch is None:
            continue
        position = 0
        for labels, count in zip(batch.labels, batch.counts, strict=True):
            where = slice(position, position + count)
            found.append((json.loads(labels), list(batch.times[where]), list(batch.values[where])))
            position += count
    return found


@given(SERIES, st.integers(1, 300))
def test_what_was_written_is_read(series: list[tuple[dict[str, str], Any]], size: int) -> None:
    """Any labels, any numbers, cut anywhere: the same series in the same order."""
    clean = json.loads(answer(series))["data"]["result"]
    found = decode(answer(series), size)
    assert [labels for labels, _, _ in found] == [entry["metric"] for entry in clean]
    for (_, times, values), entry in zip(found, clean, strict=True):
        np.testing.assert_array_equal(times, [float(t) for t, _ in entry["values"]])
        np.testing.assert_array_equal(values, [float(v) for _, v in entry["values"]])


@given(SERIES.filter(bool), st.data())
def test_a_cut_off_answer_is_never_taken(series: list[Any], data: Any) -> None:
    """Whatever is missing at the end, be it one byte, the answer is refused."""
    body = answer(series)
    kept = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(MalformedError):
        decode(body[:kept], 64)


def test_warnings_are_kept() -> None:
    """Prometheus' warnings and VictoriaMetrics' isPartial both mean partial data."""
    for more in ({"warnings": ["a"]}, {"isPartial": True}):
        decoder = MatrixDecoder()
        decoder.feed(answer([({"a": "b"}, [(1, "2")])], **more))
        assert decoder.finish()[0]


@pytest.mark.parametrize(
    "values",
    ['[1,"2"],[3]', '[1,"2"],[x,"3"]', '[1,"2,4"]', '[1,"two"]', '["",""]', '[1,"2"],,[3,"4"]'],
)
def test_damaged_points_are_refused(values: str) -> None:
    """A number that is none is damage, unless it is how JSON writes NaN and infinity."""
    body = answer([({"a": "b"}, [(1, "2")])]).replace(b'[1,"2"]', values.encode())
    with pytest.raises(MalformedError):
        decode(body, 10_000)


def test_an_empty_answer_is_an_answer() -> None:
    """No series is no error."""
    assert decode(answer([]), 7) == []


def test_what_the_system_refuses_is_no_damage_of_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No thread to be had is a shortage, which the command tells in a sentence."""

    def refuse(*_: object, **__: object) -> None:
        raise pa.ArrowException("Unknown error: Failed to launch worker thread")

    monkeypatch.setattr("analyzer.sources.prometheus.decode.pa_csv.read_csv", refuse)
    with pytest.raises(MemoryError, match="worker thread"):
        read_numbers([b"a"], [b'1795651200,"1"'])
