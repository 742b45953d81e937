"""What an answer means, and how requests are signed and addressed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from analyzer.errors import SourceError, UsageError
from analyzer.sources import PrometheusSettings
from analyzer.sources.prometheus.address import redact, split_credentials
from analyzer.sources.prometheus.answer import read_clock, read_label_sets, read_names
from analyzer.sources.prometheus.failure import (
    BadQueryError,
    BusyError,
    DeniedError,
    MalformedError,
    NotFoundError,
    TooBigError,
    classify,
)
from analyzer.sources.prometheus.ragged import Lanes
from analyzer.sources.prometheus.server import Server

LOAD = "query processing would load too many samples into memory in query execution"

STORE = "expanding series: proxy Series(): rpc error: "


@pytest.mark.parametrize(
    ("status", "kind", "text", "meaning"),
    [
        (422, "execution", LOAD, TooBigError),
        (400, "bad_data", "exceeded maximum resolution of 11,000 points", TooBigError),
        (503, "timeout", "query timed out in expression evaluation", TooBigError),
        (504, "", "upstream request timeout", TooBigError),
        (413, "", "", TooBigError),
        (408, "", "", TooBigError),
        # Mimir and Cortex
        (422, "", "the query exceeded the maximum number of series (err-mimir-max-s", TooBigError),
        (422, "", "the query time range exceeds the limit (query length: 721h)", TooBigError),
        (429, "too_many_requests", "too many outstanding requests", BusyError),
        (401, "", "no org id", DeniedError),
        # Thanos
        (422, "execution", "expanding series: exceeded series limit: 1000", TooBigError),
        (422, "execution", STORE + "code = Aborted desc = No StoreAPIs matched", BusyError),
        (422, "execution", STORE + "code = ResourceExhausted desc = exceeded", TooBigError),
        # Amazon
        (
            422,
            "execution",
            "the query hit the aggregated data size limit (limit: 5 GB)",
            TooBigError,
        ),
        (422, "execution", "query timed out in query execution", TooBigError),
        # VictoriaMetrics
        (422, "422", "the number of matching timeseries exceeds 300000", TooBigError),
        (503, "503", "cannot handle more than 8 concurrent requests", BusyError),
        (500, "", "internal error", BusyError),
        (502, "", "bad gateway", BusyError),
        (503, "", "no healthy upstream", BusyError),
        (403, "", "forbidden", DeniedError),
        (404, "", "page not found", NotFoundError),
        (400, "bad_data", 'parse error: unexpected "}"', BadQueryError),
        (400, "bad_data", "parse error: 1:4: x_limits exceeds the limit", BadQueryError),
        (422, "execution", "vector cannot contain metrics with the same labelset", BadQueryError),
    ],
)
def test_answers_are_told_apart(
    status: int, kind: str, text: str, meaning: type[SourceError]
) -> None:
    """Split what is too big, wait for the busy, never repeat what cannot help."""
    said = f"http://x answered {status}: {text}"
    assert type(classify(status, kind, said)) is meaning


def test_urls_lose_their_credentials_and_slash() -> None:
    """What is kept is fit to be shown."""
    url = "https://us%40er:pa%3Ass@host:9/path/"
    assert split_credentials(url) == ("https://host:9/path", ("us@er", "pa:ss"))
    assert redact(url) == "https://host:9/path/"
    assert split_credentials("http://[::1]:9090/")[0] == "http://[::1]:9090"


@pytest.mark.parametrize("url", ["host:9090", "ftp://host", "http://", "http://host:port", ""])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError):
        split_credentials(url)


def test_settings_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    """One way to say who asks."""
    with pytest.raises(UsageError):
        PrometheusSettings(token_file=tmp_path, user="u", password_file=tmp_path)
    with pytest.raises(UsageError):
        PrometheusSettings(user="u")
    with pytest.raises(UsageError):
        PrometheusSettings(client_key_file=tmp_path)
    with pytest.raises(UsageError):
        PrometheusSettings(attempts=0)


@pytest.mark.parametrize("content", ["", "two\nlines", None])
def test_a_bad_token_file_is_named_and_not_shown(tmp_path: Path, content: str | None) -> None:
    """Absent, empty, or more than a token."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    connection = Server("http://127.0.0.1:1", PrometheusSettings(token_file=path))
    with pytest.raises(SourceError, match="token file") as caught:
        connection.now()
    assert "two" not in str(caught.value)


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    """The value may be a secret."""
    settings = PrometheusSettings(headers={"X-Key": "secret\nvalue"})
    with pytest.raises(SourceError, match="header") as caught:
        Server("http://127.0.0.1:1", settings).now()
    assert "secret" not in str(caught.value) + repr(settings)


VECTOR = '{"status":"success","data":{"resultType":"vector","result":%s}}'


@pytest.mark.parametrize(
    "body",
    [
        VECTOR % "[]",
        VECTOR % "null",
        VECTOR % "[1,2]",
        VECTOR % '[{"metric":{}}]',
        VECTOR % '[{"metric":{},"value":[1,"NaN"]}]',
        VECTOR % '[{"metric":{},"value":[1,"1e308"]}]',
        VECTOR % '[{"metric":{},"value":[1,"x"]}]',
        VECTOR % '[{"metric":{},"value":[1]}]',
        VECTOR % '[{"metric":{"a":1},"value":[1,"1795392000"]}]',
        VECTOR % '[{"metric":null,"value":[1,"1795392000"]}]',
        '{"status":"success","data":[null]}',
        '{"status":"success"}',
        '{"status":"success","data":{"resultType":"vector"}}',
        '{"status":1,"data":{}}',
        "[" * 100_000,
        "\xff",
        "null",
    ],
)
def test_an_answer_of_another_shape_is_one_sentence(body: str) -> None:
    """It is tried again, then named with its place; nothing else ever comes of it."""
    with pytest.raises(MalformedError) as caught:
        read_clock(body.encode("latin-1"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_answer_that_unpacks_to_a_flood_is_given_up(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few packed kilobytes may stand for gigabytes; what counts is what they take unpacked."""
    monkeypatch.setattr("analyzer.sources.prometheus.server.MOST_BYTES", 2**20)
    packed = gzip.compress(b" " * 2**24)
    httpserver.expect_request("/api/v1/query").respond_with_data(
        packed, headers={"Content-Encoding": "gzip"}
    )
    url = httpserver.url_for("").rstrip("/")
    with pytest.raises(TooBigError, match="one answer is larger than 1 MiB"):
        Server(url, PrometheusSettings()).now()


@pytest.mark.parametrize("labels", [b"[1]", b'{"pod":1}', b"null", b'{"pod":', b'"pod"'])
def test_labels_of_another_shape_are_refused(labels: bytes) -> None:
    """Before they become the name of a series."""
    with pytest.raises(MalformedError):
        Lanes().numbers([labels])


@pytest.mark.parametrize("data", ["null", "{}", "[null]", "[1]", '[{"a":1}]', '"x"'])
def test_lists_of_another_shape_are_refused(data: str) -> None:
    """Label sets are mappings of text, names are text."""
    body = f'{{"status":"success","data":{data}}}'.encode()
    for read in (read_label_sets, read_names):
        with pytest.raises(MalformedError):
            read(body)
