"""Whatever happens between the server and us: the right result, an honest partial one, an error.

Never a wrong one: each test compares with what a calm read of the same server gives.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import requests

from analyzer.errors import SourceError
from analyzer.sources import PrometheusSettings, PrometheusSource, Window
from analyzer.sources.prometheus.server import Server
from analyzer.usage import Recording, Usage
from tests.sources.conftest import program, prometheus
from tests.sources.smallcluster import END
from tests.sources.weather import Fault, Weather, cut_off, drip, hang, proxy, refuse, rewrite
from tests.sources.weather_tls import tls_front

WINDOW = Window(END, timedelta(days=2))
QUICK: dict[str, Any] = {"backoff": timedelta(milliseconds=5), "max_points": 2000}


@pytest.fixture(scope="module")
def calm(small_server: str) -> Recording:
    return PrometheusSource(small_server, PrometheusSettings(**QUICK)).read(WINDOW)


def read(url: str, weather: Weather, **settings: Any) -> Recording:
    with proxy(url, weather) as address:
        return PrometheusSource(address, PrometheusSettings(**QUICK | settings)).read(WINDOW)


def same(left: Usage, right: Usage) -> bool:
    return (
        left.pods == right.pods
        and np.array_equal(left.cpu_cores, right.cpu_cores, equal_nan=True)
        and np.array_equal(left.memory_bytes, right.memory_bytes, equal_nan=True)
    )


def error(kind: str, text: str) -> str:
    return orjson.dumps({"status": "error", "errorType": kind, "error": text}).decode()


PASSING: dict[str, Fault] = {
    "503 overloaded": refuse(503, "upstream connect error"),
    "503 query timeout": refuse(503, error("timeout", "query timed out in expression evaluation")),
    "429 with Retry-After": refuse(429, "too many requests", Retry_After="0"),
    "500": refuse(500, error("internal", "boom")),
    "502": refuse(502, "<html>bad gateway</html>"),
    "504": refuse(504, "<html>gateway timeout</html>"),
    "413": refuse(413, "request entity too large"),
    "422 too many samples": refuse(
        422, error("execution", "query processing would load too many samples into memory")
    ),
    "400 too many points": refuse(
        400, error("bad_data", "exceeded maximum resolution of 11,000 points per timeseries")
    ),
    "422 of Mimir": refuse(
        422,
        error("execution", "the query exceeded the maximum number of chunks (limit: 2000000)"),
    ),
    "422 of VictoriaMetrics": refuse(
        422, error("422", "cannot select more than -search.maxSamplesPerQuery=1 samples")
    ),
    "reset in the middle": cut_off(0.5),
    "reset before the end": cut_off(0.999),
    "reset before anything": cut_off(0),
    "truncated, yet complete for HTTP": rewrite(lambda body: body[: len(body) // 2]),
    "truncated behind a series": rewrite(lambda body: body[: body.rfind(b",{")]),
    "invalid JSON": rewrite(lambda body: body.replace(b'"data"', b'data"', 1)),
    "damaged numbers": rewrite(lambda body: body.replace(b'"0.', b'"0x.', 1)),
    "a web page": rewrite(lambda _: b"<html>login</html>"),
    "nothing": rewrite(lambda _: b""),
    "a JSON that is no answer": rewrite(lambda _: b"[]"),
    "another result type": rewrite(lambda body: body.replace(b'"matrix"', b'"vector"')),
    "an error with status 200": rewrite(
        lambda _: error("execution", "expanding series: i/o timeout").encode()
    ),
    "results that are none": rewrite(lambda body: body[: body.find(b'"result":') + 9] + b"null}}"),
    "series that are numbers": rewrite(lambda body: body[: body.find(b"[") + 1] + b"1,2]}}"),
    "labels that are none": rewrite(lambda body: body.replace(b'{"metric":{', b'{"metric":["', 1)),
    "times that nobody asked for": rewrite(lambda body: body.replace(b"[[1795", b"[[1795.5", 1)),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_leaves_no_trace(name: str, small_server: str, calm: Recording) -> None:
    """A fault that ends is waited out or split around, and the result is whole."""
    weather = Weather(PASSING[name], times=2)
    got = read(small_server, weather)
    assert weather.met == 2
    assert same(got.usage, calm.usage)
    assert got.meta.warnings == ()


def _reversed(body: bytes) -> bytes:
    answer = orjson.loads(body)
    answer["data"]["result"].reverse()
    for series in answer["data"]["result"]:
        series["values"].reverse()
    return orjson.dumps(answer)


def _doubled(body: bytes) -> bytes:
    answer = orjson.loads(body)
    answer["data"]["result"] *= 2
    for series in answer["data"]["result"]:
        series["values"] = [point for point in series["values"] for _ in range(2)]
    return orjson.dumps(answer)


def _spaced(body: bytes) -> bytes:
    return json.dumps(orjson.loads(body), indent=1).encode()


def _key_order(body: bytes) -> bytes:
    answer = orjson.loads(body)
    for series in answer["data"]["result"]:
        series["metric"] = dict(sorted(series["metric"].items(), reverse=True))
    return orjson.dumps({"warnings": [], "data": answer["data"], "status": "success"})


ODD = {
    "unsorted": rewrite(_reversed),
    "doubled": rewrite(_doubled),
    "spaced out": rewrite(_spaced),
    "another key order": rewrite(_key_order),
    "wrong content type": rewrite(lambda body: body),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_spellings_of_the_same_answer(name: str, small_server: str, calm: Recording) -> None:
    """Order, repetition, spaces and key order of the JSON mean nothing."""
    got = read(small_server, Weather(ODD[name], times=1000))
    assert same(got.usage, calm.usage)


def test_numbers_that_are_none_are_not_observed(small_server: str, calm: Recording) -> None:
    """NaN and infinities become gaps; everything else stays as it was."""

    def spoil(body: bytes) -> bytes:
        for text in (b'"NaN"', b'"+Inf"', b'"-Inf"'):
            at = body.rfind(b',"0.')
            if at < 0:
                return body
            end = body.index(b'"]', at + 2)
            body = body[: at + 1] + text + body[end + 1 :]
        return body

    got = read(small_server, Weather(rewrite(spoil), times=1000))
    known = ~np.isnan(got.usage.cpu_cores)
    assert 0 < (~known).sum() < 100
    np.testing.assert_array_equal(got.usage.cpu_cores[known], calm.usage.cpu_cores[known])


def test_warnings_make_a_read_partial(small_server: str, calm: Recording) -> None:
    """A 200 with warnings is not the whole truth, and the recording says so, once."""
    warn = rewrite(lambda body: body[:-1] + b',"warnings":["store a: unavailable"]}')
    got = read(small_server, Weather(warn, times=1000))
    assert got.meta.warnings == ("store a: unavailable",)
    assert same(got.usage, calm.usage)


def test_a_part_that_stays_lost_is_named(small_server: str) -> None:
    """When pieces fail to the end the rest is returned, and the warning says what is missing."""

    class Second(Weather):
        def applies(self, path: str, body: bytes) -> bool:
            super().applies(path, body)
            return b"container_memory" in body and b"query_range" in path.encode()

    weather = Second(refuse(503, "no"), times=0)
    got = read(small_server, weather, attempts=2)
    assert np.isnan(got.usage.memory_bytes).all()
    assert not np.isnan(got.usage.cpu_cores).all()
    assert got.meta.warnings
    assert all(
        "memory" in warning and "UTC could not be read" in warning for warning in got.meta.warnings
    )


REFUSALS = {
    401: "token",
    403: "may not query",
    404: "no Prometheus API",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_not_asked_twice(status: int, small_server: str) -> None:
    """401, 403 and 404 will not change by asking again."""
    weather = Weather(refuse(status, "no"), path="/query", times=1000)
    with pytest.raises(SourceError, match=REFUSALS[status]):
        read(small_server, weather)
    assert len(weather.seen) == 1


def test_a_parse_error_is_not_asked_twice(small_server: str) -> None:
    """A query that the server cannot read ends the run with the server's own words."""
    weather = Weather(refuse(400, error("bad_data", "parse error: unexpected")), times=1000)
    with pytest.raises(SourceError, match="parse error"):
        read(small_server, weather, parallel=1)
    assert weather.met == 1


def test_a_login_page_is_named(small_server: str) -> None:
    """HTML with status 200 is a login page or a wrong path, not data."""
    weather = Weather(rewrite(lambda _: b"<!doctype html><p>Sign in"), path="/query", times=1000)
    with pytest.raises(SourceError, match="login page"):
        read(small_server, weather)


def test_credentials_do_not_follow_a_redirect(small_server: str) -> None:
    """A redirect to another host is refused, and named."""
    away = refuse(302, "", Location="https://login.example/?next=x")
    with pytest.raises(SourceError, match=r"redirects to https://login.example"):
        read(small_server, Weather(away, path="/query", times=1000))


def test_a_redirect_on_the_same_host_is_followed(small_server: str, calm: Recording) -> None:
    """A POST stays a POST, with its query."""
    moved = refuse(307, "", Location="/api/v1/query_range")
    assert same(read(small_server, Weather(moved, times=3)).usage, calm.usage)


@pytest.mark.parametrize("fault", [hang(3), drip(0.01)], ids=["hang", "drip"])
def test_a_request_has_its_time_and_no_more(
    fault: Fault, small_server: str, calm: Recording
) -> None:
    """What does not arrive in time, at once or in drops, is asked for in smaller pieces."""
    got = read(small_server, Weather(fault, times=2), timeout=timedelta(seconds=1))
    assert same(got.usage, calm.usage)


def test_the_whole_read_has_its_deadline(small_server: str) -> None:
    """A server that is always busy ends in an error after the deadline, not never."""
    with pytest.raises(SourceError, match=r"deadline|overloaded"):
        read(
            small_server,
            Weather(refuse(429, "later", Retry_After="600"), times=10**6),
            deadline=timedelta(seconds=2),
        )


def test_a_server_that_always_hangs_is_given_up(small_server: str) -> None:
    """Splitting does not go on for ever when nothing ever arrives."""
    weather = Weather(hang(2), times=10**6)
    with pytest.raises(SourceError, match=r"in time|within"):
        read(small_server, weather, timeout=timedelta(seconds=0.3))
    assert weather.met < 20


@pytest.fixture(scope="module")
def stingy_server(small_blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that loads 700 samples a query at most."""
    with prometheus(
        small_blocks, tmp_path_factory.mktemp("stingy"), "--query.max-samples=700"
    ) as url:
        yield url


def test_low_limits_of_a_real_server_are_met(stingy_server: str, calm: Recording) -> None:
    """Planned from the limit the server tells, or split when it refuses: the same usage."""
    got = PrometheusSource(stingy_server).read(WINDOW)
    assert same(got.usage, calm.usage)
    eager = PrometheusSource(stingy_server, PrometheusSettings(max_points=10**6)).read(WINDOW)
    assert same(eager.usage, calm.usage)


def test_secrets_and_tenants_travel_in_headers(small_server: str, tmp_path: Path) -> None:
    """The token is read from its file for every request, so that a rotated one is used."""
    token = tmp_path / "token"
    token.write_text("first\n")
    seen = []

    def rotate(answer: Any) -> Any:
        token.write_text("second\n")
        seen.append(1)
        return answer

    with proxy(small_server, Weather(rotate, path="/query", times=1)) as url:
        settings = PrometheusSettings(token_file=token, tenant="team", headers={"X-Extra": "1"})
        with Server(url, settings) as connection:
            connection.now()
            request = connection._session.prepare_request(requests.Request("GET", url))
            assert request.headers["Authorization"] == "Bearer second"
            assert request.headers["X-Scope-OrgID"] == "team"
            assert request.headers["X-Extra"] == "1"
    assert seen
    assert "first" not in repr(settings)


def test_a_private_certificate_is_refused_unless_named(small_server: str, tmp_path: Path) -> None:
    """TLS is verified by default; ca_file names a private authority."""
    openssl = program("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    with tls_front(small_server, certificate, key) as url:
        with pytest.raises(SourceError, match=r"TLS.*ca_file"):
            PrometheusSource(url).read(WINDOW)
        trusted = PrometheusSettings(ca_file=certificate)
        assert PrometheusSource(url, trusted).read(WINDOW).usage.pods
        assert PrometheusSource(url, PrometheusSettings(insecure=True)).read(WINDOW).usage.pods
