"""The line to a server: TLS, proxies, and what its failures are called."""

from __future__ import annotations

import logging
import os
import re
import ssl
from pathlib import Path
from typing import Any

import requests
import urllib3

from analyzer.errors import SourceError
from analyzer.sources.prometheus.auth import authentication
from analyzer.sources.prometheus.failure import BusyError, TimedOutError
from analyzer.sources.prometheus.settings import PrometheusSettings

_LOG = logging.getLogger(__name__)
_HANGUP_WORDS = re.compile(r"EOF occurred|reset by peer|broken pipe|aborted", re.IGNORECASE)
_CLIENT_WORDS = re.compile(
    r"alert (certificate|bad certificate|unknown ca|unsupported certificate|handshake failure"
    r"|access denied)|PEM|key[ _]values[ _]mismatch|private key",
    re.IGNORECASE,
)


class _Session(requests.Session):
    """A session that leaves redirects alone, for we follow them or not; requests parses them."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def open_session(settings: PrometheusSettings, in_url: tuple[str, str] | None) -> requests.Session:
    """A session as configured; `in_url` are the user and password of the URL, if it has any.

    Nothing else of the surroundings counts but the system's certificate authorities: no .netrc,
    whose password would travel unasked and replace a configured header, and no proxy variable.
    """
    session = _Session()
    session.trust_env = False
    if settings.proxy is not None:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    session.headers.update(settings.headers)
    session.headers["Accept"] = "application/json"
    session.headers["Accept-Encoding"] = "gzip" if settings.compression else "identity"
    if settings.tenant is not None:
        session.headers["X-Scope-OrgID"] = settings.tenant
    session.auth = authentication(settings, in_url)
    session.verify = _authorities(settings)
    if settings.client_certificate_file is not None:
        certificate = str(_existing(settings.client_certificate_file, "client certificate"))
        key = settings.client_key_file
        session.cert = (certificate, str(_existing(key, "client key"))) if key else certificate
    return session


def _authorities(settings: PrometheusSettings) -> bool | str:
    """What `requests` calls verify: no, a file of authorities, or yes by those it brings."""
    if settings.insecure:
        # Said once per connection; a warning per request would say nothing new.
        _LOG.info("insecure: the certificate of the server is not verified")
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return False
    if settings.ca_file is not None:
        return str(_existing(settings.ca_file, "certificate authority"))
    named = os.environ.get("SSL_CERT_FILE")
    if named:
        return str(_existing(Path(named), "certificate authority (SSL_CERT_FILE)"))
    return ssl.get_default_verify_paths().cafile or True


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise SourceError(f"the {what} file {path} does not exist")
    return path


class NamedFailures:
    """Turn the exceptions of requests and urllib3 that a block raises into ours."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case requests.exceptions.SSLError() | urllib3.exceptions.SSLError():
                reason = _reason(error)
                raise SourceError(
                    f"{self.url}: the TLS connection failed: {reason}; {_tls_advice(reason)}"
                ) from error
            case requests.exceptions.ConnectTimeout() | urllib3.exceptions.ConnectTimeoutError():
                raise BusyError(f"{self.url} cannot be reached: nobody answers there") from error
            case requests.exceptions.InvalidHeader():
                # The text of the original holds the value, which may be a secret.
                raise SourceError(
                    f"{self.url}: a configured header holds characters that may not be sent"
                ) from None
            case requests.exceptions.Timeout() | urllib3.exceptions.TimeoutError():
                raise TimedOutError(f"{self.url}: no answer in time; is it overloaded?") from error
            case requests.exceptions.ConnectionError() | urllib3.exceptions.HTTPError():
                reason = _reason(error)
                # Since TLS 1.3 a refused client certificate may show as a reset only.
                over_tls = self.url.startswith("https:") and _HANGUP_WORDS.search(reason)
                advice = f"; {_tls_advice(reason)}" if over_tls else ""
                raise BusyError(f"{self.url} cannot be reached: {reason}{advice}") from error
            case UnicodeEncodeError():
                raise SourceError(
                    f"{self.url}: a configured header holds characters that may not be sent; "
                    "use ASCII"
                ) from None
            case requests.exceptions.RequestException() | OSError():
                raise SourceError(f"{self.url}: {_reason(error)}") from error


def _tls_advice(reason: str) -> str:
    """What to do about a failed handshake, from OpenSSL's words for it."""
    if "wrong version number" in reason.lower():
        return "this port speaks no TLS; write http:// in the URL, or name the port that does"
    if _CLIENT_WORDS.search(reason):
        return (
            "the server asks who you are: check client_certificate_file and client_key_file, "
            "a certificate that its authority signed and the key of it"
        )
    if _HANGUP_WORDS.search(reason):
        return (
            "the server hung up: it may want a client certificate (client_certificate_file and "
            "client_key_file), or speak no TLS at this port"
        )
    if "mismatch" in reason.lower():
        return "use the name in the URL that the server's certificate is for"
    return "name the right certificate authority with ca_file"


def _reason(error: BaseException) -> str:
    """The innermost cause, without the objects that urllib3 prints around it."""
    inner: Any = error
    while True:
        further = getattr(inner, "reason", None) or next(
            (argument for argument in inner.args if isinstance(argument, BaseException)), None
        )
        if not isinstance(further, BaseException):
            break
        inner = further
    text = re.sub(r"^\S*Connection(Pool)?\([^)]*\): |^<[^>]*>: ", "", str(inner))
    return " ".join(text.split())[:200] or type(inner).__name__
