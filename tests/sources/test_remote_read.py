"""Raw samples that are evaluated on this side give what the server itself would have answered."""

from __future__ import annotations

import json
import math
import random
import re
import struct
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources import PrometheusSettings, PrometheusSource, Window
from analyzer.sources.prometheus.crc32c import SHORTEST, crc32c
from analyzer.sources.prometheus.decode import Batch
from analyzer.sources.prometheus.failure import BusyError, MalformedError, NoRemoteReadError
from analyzer.sources.prometheus.promql import Matcher, Over, equals
from analyzer.sources.prometheus.remote_read import FrameDecoder
from analyzer.sources.prometheus.replicas import connect
from analyzer.sources.prometheus.server import Server
from analyzer.sources.prometheus.windows import Steps
from analyzer.usage import Recording
from tests.sources import smallcluster
from tests.sources.conftest import blocks, prometheus
from tests.sources.weather import Answer, Fault, Weather, proxy, refuse, rewrite

REMOTE = PrometheusSettings(read="remote")
QUICK = PrometheusSettings(read="remote", backoff=timedelta(milliseconds=1), attempts=2)
ONE_DAY = Window(smallcluster.END, timedelta(days=1))
START = int(smallcluster.END.timestamp()) - 6 * 3600
STEPS = Steps(first=300_000, step=300_000, count=4, window=300_000, closed=False)
FRAME_SIZE = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")
ODD_NAME = 'a"b\\c.*ü\n'


# -- the same as queries, on real servers ----------------------------------------------------


@pytest.mark.parametrize("server", ["small_server", "odd_server"])
def test_a_recording_is_the_same_either_way(server: str, request: pytest.FixtureRequest) -> None:
    """Every sample of usage, and all that is told beside it, to the last bit."""
    url = request.getfixturevalue(server)
    queried = PrometheusSource(url).read(ONE_DAY)
    weather = Weather(refuse(500))
    with proxy(url, weather) as between:
        remote = PrometheusSource(between, REMOTE, name=f"prometheus:{url}").read(ONE_DAY)
    assert_same(remote, queried)
    assert np.isfinite(queried.usage.cpu_cores).sum() > 500
    assert any(path.endswith("/api/v1/read") for path in weather.seen)
    asked = b"".join(body for body in weather.bodies if b"query=" in body)
    assert b"working_set_bytes%5B" not in asked


def test_labels_that_a_server_adds_for_others_change_nothing(
    small_blocks: Path, tmp_path: Path
) -> None:
    """Prometheus Operator names itself in external labels, which remote read alone hands out."""
    named = "global: {external_labels: {prometheus: a/b, prometheus_replica: c, pod: stranger}}\n"
    window = Window(smallcluster.END, timedelta(hours=13))
    with prometheus(small_blocks, tmp_path, config=named) as url:
        with Server(url, REMOTE) as server:
            labels = list(rows(server.range(PEAKS, TIMES, lambda batch: batch)))
        remote = PrometheusSource(url, REMOTE).read(window)
        assert_same(remote, PrometheusSource(url).read(window))
    assert sum('"prometheus": "a/b"' in text for text in labels) == len(labels) > 5


def assert_same(one: Recording, other: Recording) -> None:
    assert one.meta == other.meta
    assert one.usage.pods == other.usage.pods
    for name, values in other.usage.values.items():
        np.testing.assert_array_equal(one.usage.values[name], values, err_msg=name)
    pd.testing.assert_frame_equal(one.specs, other.specs)
    pd.testing.assert_frame_equal(one.events, other.events)


def strange_times(chance: random.Random) -> Iterator[float]:
    """Seconds within six hours: regular, jittered, at every distance that is packed another way."""
    time = float(START)
    while time < START + 6 * 3600:
        yield round(time, 3)
        time += chance.choice(
            [10, 10, 10, 60, 10.001, 9.37, 18.192, 8.192, 75.536, 300, 534.288, 2000]
        )


def strange_values(chance: random.Random) -> Iterator[float]:
    """What compresses well and badly, counters that begin anew, and what is no number."""
    value = 0.0
    while True:
        value = chance.choice([
            value, value, value + 1, value + chance.random(), value * 1.5, 0.0,
            chance.random() * 2.0 ** chance.randint(-300, 30), -value,
            float("nan"), float("inf"), float("-inf"), 5e-324, 1e12,
        ])  # fmt: skip
        yield value
        value = value if abs(value) < 1e12 else 3.0


def strange_series() -> str:
    chance = random.Random(1)
    lines = ["# TYPE strange gauge"]
    for number in range(40):
        times = list(strange_times(chance))[: chance.choice([1, 2, 3, 50, 2000])]
        values = strange_values(chance)
        name = smallcluster.escape(ODD_NAME if number % 2 else "plain")
        labels = f'number="{number}",name="{name}"'
        lines += [f"strange{{{labels}}} {next(values)!r} {time:.3f}" for time in times]
    return "\n".join(lines).replace(" inf ", " +Inf ").replace(" -inf ", " -Inf ") + "\n# EOF\n"


@pytest.fixture(scope="module")
def strange(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with series that try every path of the decoder."""
    folder = blocks(shared, "strange", strange_series)
    with prometheus(folder, tmp_path_factory.mktemp("strange")) as url:
        yield url


def observed(batches: list[Batch]) -> dict[str, dict[float, float]]:
    """The same without points that are no numbers, which only a server sends."""
    numbers = {
        key: {time: value for time, value in row.items() if not math.isnan(value)}
        for key, row in rows(batches).items()
    }
    return {key: row for key, row in numbers.items() if row}


def rows(batches: list[Batch]) -> dict[str, dict[float, float]]:
    """The points of each series by its labels."""
    found: dict[str, dict[float, float]] = {}
    for batch in batches:
        stop = np.cumsum(batch.counts)
        for text, low, high in zip(batch.labels, stop - batch.counts, stop, strict=True):
            key = json.dumps(json.loads(text), sort_keys=True)
            times, values = batch.times[low:high].tolist(), batch.values[low:high].tolist()
            found.setdefault(key, {}).update(zip(times, values, strict=True))
    return found


@pytest.mark.parametrize("function", ["rate", "max_over_time"])
@pytest.mark.parametrize("window", [300, 1000, 60])
def test_strange_series_come_to_what_the_server_makes_of_them(
    strange: str, function: str, window: int
) -> None:
    """Any spacing, any value, resets, gaps, infinities; windows of a step, longer and shorter."""
    query = Over(function, "strange", (), timedelta(seconds=window))
    with Server(strange, REMOTE) as server:
        queried = observed(server.range(str(query), TIMES, lambda batch: batch))
        remote = observed(server.range(query, TIMES, lambda batch: batch))
    assert remote.keys() == queried.keys()
    for key, row in queried.items():
        # Counters that begin anew at 1e12 leave their rounding to what they gain afterwards.
        assert remote[key] == pytest.approx(row, rel=1e-9, abs=1e-4)


@pytest.mark.parametrize(("matcher", "series"), [
    (equals("name", ODD_NAME), 20),
    (Matcher("name", "!=", ODD_NAME), 20),
    (Matcher("name", "=~", "pl.*|x"), 20),
    (Matcher("name", "=~", "pla"), 0),
    (Matcher("name", "!~", "pla"), 40),
])  # fmt: skip
def test_matchers_mean_the_same(strange: str, matcher: Matcher, series: int) -> None:
    """Quotes, backslashes and line breaks of strangers stay within their value."""
    query = Over("max_over_time", "strange", (matcher,), timedelta(hours=7))
    times = (START + 7 * 3600.0, START + 7 * 3600.0, 300.0)
    with Server(strange, REMOTE) as server:
        queried = rows(server.range(str(query), times, lambda batch: batch))
        remote = rows(server.range(query, times, lambda batch: batch))
        seen = observed(server.range(str(query), times, lambda batch: batch))
    assert len(queried) == series
    assert remote.keys() == seen.keys()


PEAKS = Over("max_over_time", "container_memory_working_set_bytes", (), timedelta(minutes=5))
TIMES = (START + 300.0, START + 6 * 3600.0, 300.0)


def peaks(url: str) -> dict[str, dict[float, float]]:
    """The working sets of six hours, by remote read."""
    with Server(url, QUICK) as server:
        return rows(server.range(PEAKS, TIMES, lambda batch: batch))


# -- a server that offers none, or sends damage ------------------------------------------------


def test_a_server_without_it_is_asked_by_queries(
    small_victoria: str, caplog: pytest.LogCaptureFixture
) -> None:
    """VictoriaMetrics does not stream chunks: one sentence, and the same recording as without."""
    remote = PrometheusSource(small_victoria, REMOTE).read(ONE_DAY)
    assert "no remote read" in caplog.text
    assert "usage is read by queries" in caplog.text
    assert_same(remote, PrometheusSource(small_victoria).read(ONE_DAY))
    assert not remote.meta.warnings


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_refusal_is_told_from_a_failure(small_server: str, status: int) -> None:
    """Some gateways let queries through alone; asking again would not help."""
    weather = Weather(refuse(status, "no"), path="/api/v1/read", times=1000)
    with proxy(small_server, weather) as url, pytest.raises(NoRemoteReadError, match=str(status)):
        peaks(url)
    assert weather.met == 1


def test_one_of_two_replicas_that_refuses_is_not_left_out(small_server: str) -> None:
    """Both are asked by queries then, for each may have seen what the other missed."""
    weather = Weather(refuse(404, "no"), path="/api/v1/read", times=1000)
    with proxy(small_server, weather) as url, connect(f"{small_server},{url}", QUICK) as both:
        with pytest.raises(NoRemoteReadError):
            both.range(PEAKS, TIMES, lambda batch: batch)
        assert not both.warnings


def test_samples_in_one_piece_are_not_taken(small_server: str) -> None:
    """A server that knows remote read without frames would send all samples at once."""

    def as_samples(answer: Any) -> Any:
        answer.headers["Content-Type"] = "application/x-protobuf"
        return answer

    weather = Weather(as_samples, path="/api/v1/read")
    with proxy(small_server, weather) as url, pytest.raises(NoRemoteReadError, match="chunks"):
        peaks(url)


def behind_first_frame(answer: Answer) -> Answer:
    """End an answer where what is left of it is sound in itself."""
    size = FRAME_SIZE.match(answer.body)
    assert size is not None
    length = sum((octet & 127) << 7 * place for place, octet in enumerate(size[0]))
    answer.cut_after = len(size[0]) + 4 + length
    return answer


def without_length(answer: Answer) -> Answer:
    answer.length_told = False
    return behind_first_frame(answer)


@pytest.mark.parametrize(("fault", "error"), [
    (behind_first_frame, BusyError),
    (without_length, NoRemoteReadError),
])  # fmt: skip
def test_an_answer_that_ends_between_two_frames_is_not_whole(
    small_server: str, fault: Fault, error: type[Exception]
) -> None:
    """Frames have no end mark: the length of the answer must be told, and is held against it."""
    weather = Weather(fault, path="/api/v1/read", times=1000)
    with proxy(small_server, weather) as url, pytest.raises(error):
        peaks(url)


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda body: body[:-7],
    "a bit flipped": lambda body: body[:500] + bytes([body[500] ^ 4]) + body[501:],
    "no frames": lambda body: b"\xff" * len(body),
    "a frame of a gibibyte": lambda body: b"\x80\x80\x80\x80\x04" + bytes(20),
}


@pytest.mark.parametrize("name", SPOILT)
def test_damage_is_never_taken_for_usage(small_server: str, name: str) -> None:
    """An answer that arrived damaged is asked for again, and refused where it stays so."""
    with proxy(small_server, Weather(rewrite(SPOILT[name]), path="/api/v1/read")) as url:
        assert peaks(url) == peaks(small_server)
    always = Weather(rewrite(SPOILT[name]), path="/api/v1/read", times=1000)
    with proxy(small_server, always) as url, pytest.raises(MalformedError, match="the answer"):
        peaks(url)


# -- messages written by hand ------------------------------------------------------------------


def checksum(data: bytes) -> int:
    """CRC-32C bit by bit, from its definition."""
    state = 0xFFFFFFFF
    for octet in data:
        state ^= octet
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def frame(message: bytes) -> bytes:
    return varint(len(message)) + checksum(message).to_bytes(4, "big") + message


def series(*chunks: bytes, name: str = "m") -> bytes:
    """A message with one series of XOR chunks."""
    label = field(1, field(1, b"__name__") + field(2, name.encode()))
    label += field(1, field(1, b"pod") + field(2, b"a"))
    return field(1, label + b"".join(field(2, b"\x18\x01" + field(4, one)) for one in chunks))


def chunk(time: int, value: float) -> bytes:
    """An XOR chunk of one sample."""
    return b"\x00\x01" + varint(time << 1) + struct.pack(">d", value)


def decode(body: bytes, size: int = 1 << 20) -> dict[str, dict[float, float]]:
    decoder = FrameDecoder(STEPS, "max_over_time", {})
    parts = [body[low : low + size] for low in range(0, len(body), size)]
    batches = [batch for part in parts for batch in decoder.feed(part)]
    return rows([*batches, *decoder.finish()])


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_frames_may_arrive_in_any_pieces(size: int) -> None:
    """Two samples of a series in two frames, and one of another, however the bytes are cut."""
    body = frame(series(chunk(300_000, 1.5))) + frame(series(chunk(600_000, 2.5)))
    body += frame(series(chunk(900_000, 3.5), name="other"))
    assert decode(body, size) == {'{"pod": "a"}': {300.0: 1.5, 600.0: 2.5, 900.0: 3.5}}


def test_chunks_that_overlap_count_once() -> None:
    """Samples that arrived late lie in chunks of their own, out of order; some twice."""
    late = series(chunk(600_000, 2), chunk(300_000, 1), chunk(600_000, 2))
    assert decode(frame(late)) == {'{"pod": "a"}': {300.0: 1.0, 600.0: 2.0}}


def test_the_end_of_a_series_and_histograms_are_no_samples() -> None:
    """Stale markers are one of many NaN; chunks of another kind than XOR are passed over."""
    stale = b"\x00\x01" + varint(600_000) + bytes.fromhex("7ff0000000000002")
    histogram = field(2, b"\x18\x02" + field(4, b"\x00\x01whatever"))
    inner = series(stale, chunk(600_000, 7))[2:] + histogram
    assert decode(frame(field(1, inner))) == {'{"pod": "a"}': {600.0: 7.0}}


BOMBS = {
    "more samples than its bytes hold": b"\xff\xff" + varint(0) + bytes(20),
    "as many samples as fit": b"\xff\xff" + varint(0) + bytes(16_500),
    "no samples": b"\x00",
    "an endless varint": b"\x00\x02" + b"\xff" * 40,
    "a value of more bits than 64": b"\x00\x02" + varint(0) + bytes(9) + b"\xff" * 9,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_lying_chunk_is_refused(name: str) -> None:
    """What a chunk says of itself is held against what there is, before room is made for it."""
    with pytest.raises(MalformedError):
        decode(frame(series(BOMBS[name])))


@given(st.binary(min_size=SHORTEST, max_size=60))
def test_no_message_does_anything_but_fail_or_be_read(message: bytes) -> None:
    """Whatever stands in a frame whose checksum is sound, only `MalformedError` comes of it."""
    for body in (message, field(1, message), series(message)):
        try:
            decode(frame(body))
        except MalformedError:
            continue


@given(st.lists(st.binary(min_size=SHORTEST, max_size=1300), max_size=5))
def test_checksums_of_many_are_those_of_each(stretches: list[bytes]) -> None:
    """Whatever their lengths; and 123456789 has the sum that the standard gives it."""
    high = np.cumsum([0, *map(len, stretches)], dtype=np.int64)
    found = crc32c(b"".join(stretches), high[:-1], high[1:])
    assert found.tolist() == [checksum(one) for one in stretches]
    assert checksum(b"123456789") == 0xE3069283
