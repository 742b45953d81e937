"""Who is trusted, who we say we are, and that no secret is ever shown: with real TLS."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.errors import AnalyzerError, SourceError, UsageError
from analyzer.sources import PrometheusSettings, PrometheusSource, Window
from analyzer.sources.prometheus.address import redact, split_credentials
from analyzer.sources.prometheus.server import Server
from tests.sources.conftest import ROOT, program
from tests.sources.smallcluster import END

SECRET = "s3cret-Of-The-Run"
OTHER_SECRET = "an0ther-Of-The-Run"
QUICK: dict[str, Any] = {"backoff": timedelta(milliseconds=5), "attempts": 2}


@dataclass
class Gate:
    """A server before Prometheus: keeps the headers it met, refuses, leads away, or forwards."""

    real: str | None = None
    """Where requests go on to; without it the server's clock is the only answer."""
    status: int = 200
    location: str = ""
    echo: bool = False
    """Whether an error repeats the headers of the request, as proxies that debug do."""
    said: str = "refused"
    garbled: bool = False
    """Whether a 200 holds `said` and nothing that the API promises."""
    met: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        self.met.append(headers)
        if self.status != 200:
            said = f"refused {headers}" if self.echo else self.said
            return self.status, json.dumps({"status": "error", "error": said}).encode()
        if self.garbled:
            return 200, json.dumps({"status": "success", "data": self.said}).encode()
        if self.real is None:
            now = [time.time(), str(time.time())]
            data = {"resultType": "vector", "result": [{"metric": {}, "value": now}]}
            return 200, json.dumps({"status": "success", "data": data}).encode()
        method = "POST" if body else "GET"
        kind = {"Content-Type": headers.get("Content-Type", "")}
        real = requests.request(method, self.real + path, data=body, headers=kind, timeout=30)
        return real.status_code, real.content


def drain(connection: ssl.SSLSocket) -> None:
    """Take what the client still sends; closing at once could reset away the alert it must see."""
    connection.settimeout(10)
    with contextlib.suppress(OSError):
        while socket.socket.recv(connection, 65536):
            pass


@contextlib.contextmanager
def serving(gate: Gate, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve `gate` on loopback, under TLS where there is a `context`; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def log_message(self, *args: object) -> None:
            return

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, text = gate.answer(self.path, body, dict(self.headers.items()))
            self.send_response(status)
            if gate.location:
                self.send_header("Location", gate.location)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.do_POST()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            # The handshake belongs to the thread of its connection, and may fail there.
            if context is not None:
                request = context.wrap_socket(
                    request, server_side=True, do_handshake_on_connect=False
                )
                try:
                    request.do_handshake()
                except ssl.SSLError:
                    drain(request)
                    return
            with contextlib.suppress(OSError):
                super().finish_request(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Certificates:
    """A private authority and what it signed; `stranger` is signed by nobody we know."""

    authority: Path
    server: Path
    elsewhere: Path
    client: Path
    stranger: Path

    def context(self, *, ask: bool = False, certificate: Path | None = None) -> ssl.SSLContext:
        """TLS of a server; it asks for certificates of clients where `ask` says so."""
        chosen = certificate or self.server
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chosen, key_of(chosen))
        if ask:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority)
        return context


def key_of(certificate: Path) -> Path:
    return certificate.with_suffix(".key")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made by openssl, valid for a day."""
    openssl, folder = program("openssl"), tmp_path_factory.mktemp("certificates")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder)

    def root(name: str) -> Path:
        command = ["req", "-x509", *new_key(name), "-days", "1", "-subj", f"/CN={name}"]
        run(*command, "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", f"{name}.pem")
        return folder / f"{name}.pem"

    def signed(name: str, extensions: str) -> Path:
        lines = f"authorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n{extensions}\n"
        (folder / f"{name}.ext").write_text(lines)
        run("req", *new_key(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
        command = ["x509", "-req", "-in", f"{name}.csr", "-days", "1", "-CAcreateserial"]
        command += ["-CA", "authority.pem", "-CAkey", "authority.key"]
        run(*command, "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return folder / f"{name}.pem"

    return Certificates(
        authority=root("authority"),
        server=signed("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth"),
        elsewhere=signed("elsewhere", "subjectAltName=DNS:elsewhere\nextendedKeyUsage=serverAuth"),
        client=signed("client", "extendedKeyUsage=clientAuth"),
        stranger=root("stranger"),
    )


def new_key(name: str) -> list[str]:
    curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    return ["-newkey", "ec", *curve, "-nodes", "-keyout", f"{name}.key"]


def ask(url: str, **settings: Any) -> float:
    """One question to the server at `url`."""
    with Server(url, PrometheusSettings(**QUICK | settings)) as connection:
        now: float = connection.now()
        return now


def failure(url: str, **settings: Any) -> AnalyzerError:
    with pytest.raises(AnalyzerError) as caught:
        ask(url, **settings)
    return caught.value


def shown(error: BaseException) -> str:
    """All that --debug shows of an error: its text, its causes, and the frames."""
    return "".join(traceback.format_exception(error))


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    return path


# -- whom we trust ------------------------------------------------------------------------------


def test_a_private_authority_is_trusted_only_where_it_is_named(certificates: Certificates) -> None:
    """TLS is verified by default: without ca_file, or with another, nothing is even sent."""
    gate = Gate()
    with serving(gate, certificates.context()) as url:
        for wrong in ({}, {"ca_file": certificates.stranger}):
            error = failure(url, **wrong)
            assert isinstance(error, SourceError)
            assert "TLS" in str(error)
            assert str(error).endswith("name the right certificate authority with ca_file")
            assert "\n" not in str(error)
        assert gate.met == []
        assert ask(url, ca_file=certificates.authority) > 0


def test_a_certificate_for_another_host_is_refused(certificates: Certificates) -> None:
    """A good signature is not enough, the name must fit; the sentence says so."""
    gate = Gate()
    with serving(gate, certificates.context(certificate=certificates.elsewhere)) as url:
        error = failure(url, ca_file=certificates.authority)
    assert "mismatch" in str(error)
    assert "the name in the URL" in str(error)
    assert gate.met == []


def test_a_port_without_tls_is_named() -> None:
    """Https before a plain server: no authority would help."""
    with serving(Gate()) as url:
        error = failure(url.replace("http:", "https:"))
    assert str(error).endswith("write http:// in the URL, or name the port that does")


def test_insecure_connects_and_is_said_once(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """Unverified TLS is possible when asked for, and told, as a notice: it was asked for."""
    with caplog.at_level(logging.INFO, "analyzer"), serving(Gate(), certificates.context()) as url:
        with Server(url, PrometheusSettings(insecure=True)) as connection:
            assert connection.now() > 0
            assert connection.now() > 0
        said = [(record.levelname, record.getMessage()) for record in caplog.records]
        assert said == [("INFO", "insecure: the certificate of the server is not verified")]
        caplog.clear()
        ask(url, ca_file=certificates.authority)
    assert not caplog.records


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "insecure: the certificate of the server is not verified\n"),
        (["--quiet"], ""),
        (
            ["--log-format", "json"],
            '{"level": "info", "message": '
            '"insecure: the certificate of the server is not verified"}\n',
        ),
    ],
    ids=["plain", "quiet", "json"],
)
def test_what_is_logged_is_talk(words: list[str], told: str, certificates: Certificates) -> None:
    """On stderr in the chosen form, not at all when quiet; `doctor` has a line of its own."""
    with serving(Gate(), certificates.context()) as url:
        environment = {"RIGHTSIZE_PROMETHEUS__INSECURE": "true"}
        done = CliRunner().invoke(main, ["doctor", "-p", url, *words], env=environment)
    assert done.stderr == told
    assert re.search(r"^warning +certificate ", done.stdout, re.MULTILINE)
    assert logging.getLogger("analyzer").level == logging.NOTSET


def test_a_missing_authority_file_is_named(tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(SourceError, match=r"certificate authority file .*absent.pem"):
        Server("https://127.0.0.1:1", PrometheusSettings(ca_file=tmp_path / "absent.pem"))


# -- who we are ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asks_for_a_client_certificate_gets_it(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """Mutual TLS works with certificate and key; else the sentence names the settings to check."""
    context = certificates.context(ask=True)
    context.minimum_version = context.maximum_version = version
    gate, trusted = Gate(), {"ca_file": certificates.authority}
    own = {"client_certificate_file": certificates.client}
    key = {"client_key_file": key_of(certificates.client)}
    foreign = {
        "client_certificate_file": certificates.stranger,
        "client_key_file": key_of(certificates.stranger),
    }
    with serving(gate, context) as url:
        for wrong in ({}, foreign, own, own | {"client_key_file": key_of(certificates.server)}):
            error = failure(url, **trusted, **wrong)
            assert "client_certificate_file" in str(error), shown(error)
            assert "BEGIN" not in shown(error)
        assert gate.met == []
        assert ask(url, **trusted, **own, **key) > 0
        both = certificates.client.with_name("both.pem")
        both.write_text(certificates.client.read_text() + key_of(certificates.client).read_text())
        assert ask(url, **trusted, client_certificate_file=both) > 0


def test_a_token_is_read_for_every_request(token: Path) -> None:
    """A rotated token is used without a new connection."""
    gate = Gate()
    with serving(gate) as url, Server(url, PrometheusSettings(token_file=token)) as connection:
        connection.now()
        token.write_text(f"{OTHER_SECRET}\n")
        connection.now()
    sent = [headers["Authorization"] for headers in gate.met]
    assert sent == [f"Bearer {SECRET}", f"Bearer {OTHER_SECRET}"]


def test_a_user_and_password_are_sent_as_basic_authentication(tmp_path: Path) -> None:
    """From a file or from the URL, in UTF-8 as RFC 7617 has it, colons and all."""
    password = tmp_path / "password"
    password.write_text("pä:ss wörd\n")
    expected = "Basic " + base64.b64encode("ann:pä:ss wörd".encode()).decode()
    gate = Gate()
    with serving(gate) as url:
        ask(url, user="ann", password_file=password)
        ask(url.replace("//", "//ann:p%C3%A4:ss%20w%C3%B6rd@"))
    assert [headers["Authorization"] for headers in gate.met] == [expected, expected]


def test_tenant_and_extra_headers_are_sent() -> None:
    """As they were configured, with every request."""
    gate = Gate()
    with serving(gate) as url:
        ask(url, tenant="team-a", headers={"X-Extra": "1", "CF-Access-Client-Secret": SECRET})
    assert gate.met[0]["X-Scope-OrgID"] == "team-a"
    assert gate.met[0]["X-Extra"] == "1"
    assert gate.met[0]["CF-Access-Client-Secret"] == SECRET


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["other host", "other port"])
@pytest.mark.parametrize("status", [302, 307, 308])
def test_credentials_stay_with_the_server_they_are_for(token: Path, name: str, status: int) -> None:
    """Another host or port is another server: it gets no request, so no Authorization either."""
    away = Gate()
    with serving(away) as there:
        target = there.replace("127.0.0.1", name)
        leading = Gate(status=status, location=f"{target}/api/v1/query?code={OTHER_SECRET}")
        with serving(leading) as here:
            error = failure(here, token_file=token, headers={"X-Key": SECRET})
    assert f"redirects to {target};" in str(error)
    assert away.met == []
    assert SECRET not in shown(error)
    assert OTHER_SECRET not in str(error)


def test_tls_is_not_left_by_a_redirect(certificates: Certificates, token: Path) -> None:
    """From https to http credentials would travel in the clear."""
    gate = Gate(status=307)
    with serving(gate, certificates.context()) as url:
        gate.location = url.replace("https", "http") + "/api/v1/query"
        error = failure(url, ca_file=certificates.authority, token_file=token)
    assert "redirects to http://" in str(error)
    assert len(gate.met) == 1


def test_a_redirect_to_no_url_is_an_error_of_ours() -> None:
    """Whatever a server sends, the answer is one sentence."""
    with serving(Gate(status=302, location="http://[half")) as url:
        assert "is no URL" in str(failure(url))


# -- what is never shown ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda text: f"user ann:{text}",
        lambda text: quote(text, safe=""),
        lambda text: json.dumps(text)[1:-1],
    ],
    ids=["decoded", "as a pair", "percent-encoded", "as JSON"],
)
def test_a_password_is_masked_however_a_server_spells_it(spell: Any, tmp_path: Path) -> None:
    """A proxy that decodes what it was sent, and says so, brings nothing to light."""
    password = f'{SECRET}/"&é'
    path = tmp_path / "password"
    path.write_text(password)
    gate = Gate(status=403, said=f"unknown: {spell(password)}")
    with serving(gate) as url:
        error = failure(url, user="ann", password_file=path)
    assert "unknown: " in str(error)
    assert SECRET not in shown(error)


@pytest.mark.parametrize("status", [200, 400])
def test_a_parameter_may_be_a_secret(status: int) -> None:
    """Neither an error nor a garbled answer shows the value that was sent."""
    gate = Gate(status=status, said=f"bad {SECRET}", garbled=True)
    with serving(gate) as url:
        error = failure(url, parameters={"token": SECRET})
    assert SECRET not in shown(error)
    assert SECRET not in repr(PrometheusSettings(parameters={"token": SECRET}))


@pytest.mark.parametrize(
    "url",
    [
        f"http://host:9090/?token={SECRET}",
        f"http://host:9090?token={SECRET}",
        f"http://host:9090/path?a=b&token={SECRET}@{SECRET}",
        f"http://host:9090/#{SECRET}",
    ],
)
def test_a_query_in_the_url_is_refused_with_advice(url: str) -> None:
    """It would not be sent; neither the sentence nor what is stored shows it."""
    with pytest.raises(UsageError, match=r"prometheus\.parameters") as caught:
        PrometheusSource(url).connect()
    assert SECRET not in str(caught.value)
    assert SECRET not in PrometheusSource(url).describe()
    done = CliRunner().invoke(main, ["config", "-p", url])
    assert SECRET not in done.output


def test_nothing_of_the_surroundings_says_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc neither replaces a configured header nor adds one; no proxy variable counts."""
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login ann password {SECRET}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    gate = Gate()
    with serving(gate) as url:
        ask(url, headers={"Authorization": "Bearer configured"})
        ask(url)
        ask(url.replace("//", "//ann:password@"), headers={"authorization": "Bearer configured"})
    assert [headers.get("Authorization") for headers in gate.met[:2]] == ["Bearer configured", None]
    assert gate.met[2]["authorization"] == "Bearer configured"


def test_a_configured_proxy_is_gone_through() -> None:
    """The whole URL is asked of the proxy, also for a host that no resolver knows."""
    gate = Gate()
    with serving(gate) as url:
        assert ask("http://prometheus.invalid:9090", proxy=url) > 0
    assert gate.met[0]["Host"] == "prometheus.invalid:9090"


def test_the_authorities_of_the_system_can_be_named(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SSL_CERT_FILE is what OpenSSL reads; ca_file beats it, and a missing file is named."""
    with serving(Gate(), certificates.context()) as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        assert ask(url) > 0
        assert "ca_file" in str(failure(url, ca_file=certificates.stranger))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    assert "SSL_CERT_FILE" in str(failure("https://127.0.0.1:1"))


def _who(kind: str, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    ways: dict[str, dict[str, Any]] = {
        "token": {"token_file": path},
        "password": {"user": "ann", "password_file": path},
        "header": {"headers": {"X-Api-Key": SECRET}},
        "authorization": {"headers": {"Authorization": f"Bearer {SECRET}"}},
        "url": {},
    }
    return ways[kind]


def _address(url: str, kind: str) -> str:
    return url.replace("//", f"//ann:{SECRET}@") if kind == "url" else url


def _forms(kind: str) -> list[str]:
    """The secret as it is and as it travels."""
    basic = base64.b64encode(f"ann:{SECRET}".encode()).decode()
    return [SECRET, basic] if kind in ("password", "url") else [SECRET]


KINDS = ["token", "password", "header", "authorization", "url"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 503])
def test_no_answer_brings_a_secret_to_light(kind: str, status: int, tmp_path: Path) -> None:
    """Neither text nor traceback hold it, even where the server repeats what it was sent."""
    who = _who(kind, tmp_path)
    gate = Gate(status=status, echo=True, location="https://login.example/")
    with serving(gate) as url:
        error = failure(_address(url, kind), **who)
    assert any(form in str(gate.met) for form in _forms(kind))
    for form in _forms(kind):
        assert form not in str(error)
        assert form not in shown(error)


@pytest.mark.parametrize("kind", KINDS)
def test_no_broken_connection_brings_a_secret_to_light(
    kind: str, tmp_path: Path, certificates: Certificates
) -> None:
    """Nobody there, and TLS that fails."""
    who = _who(kind, tmp_path)
    with serving(Gate(), certificates.context()) as url:
        for address in (url, "http://127.0.0.1:1"):
            error = failure(_address(address, kind), **who)
            assert not any(form in shown(error) for form in _forms(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_no_recording_holds_a_secret(kind: str, small_server: str, tmp_path: Path) -> None:
    """Settings, description, source, queries and warnings of a read name no secret."""
    who = _who(kind, tmp_path)
    settings = PrometheusSettings(**QUICK | who)
    with serving(Gate(real=small_server)) as url:
        source = PrometheusSource(_address(url, kind), settings)
        meta = source.read(Window(END, timedelta(hours=6))).meta
    told = [repr(settings), source.describe(), meta.source, *meta.queries, *meta.warnings]
    told += [repr(meta)]
    assert meta.source.startswith("prometheus:http://127.0.0.1:")
    assert not any(form in text for form in _forms(kind) for text in told)


def test_debug_shows_the_traceback_without_the_secret(token: Path, tmp_path: Path) -> None:
    """The whole program, as people run it when something fails."""
    with serving(Gate(status=401, echo=True)) as url:
        command = ["record", "--prometheus-url", url, str(tmp_path / "recording")]
        done = subprocess.run(
            [sys.executable, "-m", "analyzer", "--debug", *command],
            env=os.environ | {"RIGHTSIZE_PROMETHEUS__TOKEN_FILE": str(token)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "Traceback" in done.stderr
    assert "answered 401" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "text", [f"\ufeff{SECRET}", f"{SECRET}’", f"{SECRET} {SECRET}", f"\x00{SECRET}", f"ü{SECRET}"]
)
def test_a_token_that_cannot_be_sent_is_named_and_not_shown(text: str, tmp_path: Path) -> None:
    """A byte order mark or a typographic quote is found before http.client chokes on it."""
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    error = failure("http://127.0.0.1:1", token_file=path)
    assert f"the token file {path} must hold visible ASCII" in str(error)
    assert SECRET not in shown(error)


@pytest.mark.parametrize("value", [f"{SECRET}’", f"{SECRET}\n", f"{SECRET}\r\nX-Injected: 1"])
def test_a_header_that_cannot_be_sent_is_an_error_of_ours(value: str) -> None:
    """Nothing is sent, no header is smuggled in, and the value stays hidden."""
    gate = Gate()
    with serving(gate) as url:
        for settings in ({"headers": {"X-Key": value}}, {"tenant": value}):
            error = failure(url, **settings)
            assert "a configured header" in str(error)
            assert SECRET not in shown(error)
    assert gate.met == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://ann:12@{SECRET}@host:9090",
        f"http://ann:/{SECRET}@host:9090",
        f"http://ann:12/{SECRET}@host:9090",
        f"http://ann:x/{SECRET}@host:9090",
        f"http://ann:x?{SECRET}@host",
        f"http://ann:x#{SECRET}@host",
        f"http://ann:[{SECRET}]@host",
        f"http://ann:[{SECRET}@host",
        f"http://ann:{SECRET}@host:port",
        f"http://ann:{SECRET}@",
        f"ftp://ann:{SECRET}@host",
    ],
)
def test_a_password_in_a_url_is_hidden_however_it_is_spelled(url: str) -> None:
    """Unencoded at signs, slashes and brackets in a password do not bring it to light."""
    assert SECRET not in redact(url)
    assert SECRET not in PrometheusSource(url).describe()
    try:
        clean, _ = split_credentials(url)
    except UsageError as error:
        assert SECRET not in shown(error).replace(f"split_credentials({url!r})", "")
    else:
        assert SECRET not in clean
