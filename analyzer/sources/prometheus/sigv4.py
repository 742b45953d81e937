"""AWS Signature Version 4, for Amazon Managed Service for Prometheus.

After "Signing AWS API requests" of the AWS documentation; checked with the published test suite.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

import requests
from requests.auth import AuthBase

from analyzer.errors import SourceError

_ALGORITHM = "AWS4-HMAC-SHA256"


class SigV4(AuthBase):
    """Signs requests with the credentials that AWS_ACCESS_KEY_ID and its kin hold.

    They are read for every request, because session tokens rotate. `now` is a clock in UTC.
    """

    def __init__(self, region: str, now: Callable[[], datetime], service: str = "aps") -> None:
        self.region, self.service = region, service
        self.now = now

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the date, the token and the signature."""
        key, secret = _credential("AWS_ACCESS_KEY_ID"), _credential("AWS_SECRET_ACCESS_KEY")
        moment = self.now().strftime("%Y%m%dT%H%M%SZ")
        parts = urlsplit(request.url or "")
        signed = {"host": parts.netloc, "x-amz-date": moment}
        token = os.environ.get("AWS_SESSION_TOKEN")
        if token:
            signed["x-amz-security-token"] = token
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        canonical = "\n".join(
            [
                request.method or "GET",
                quote(parts.path or "/", safe="/~-_."),
                _query(parts.query),
                *(f"{name}:{value}" for name, value in sorted(signed.items())),
                "",
                ";".join(sorted(signed)),
                hashlib.sha256(body).hexdigest(),
            ]
        )
        scope = f"{moment[:8]}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join([_ALGORITHM, moment, scope, digest])
        signature = hmac.new(
            self._key(secret, moment[:8]), text.encode(), hashlib.sha256
        ).hexdigest()
        request.headers["X-Amz-Date"] = moment
        if token:
            request.headers["X-Amz-Security-Token"] = token
        request.headers["Authorization"] = (
            f"{_ALGORITHM} Credential={key}/{scope}, SignedHeaders={';'.join(sorted(signed))}, "
            f"Signature={signature}"
        )
        return request

    def _key(self, secret: str, day: str) -> bytes:
        key = f"AWS4{secret}".encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key


def _query(text: str) -> str:
    pairs = sorted(
        (quote(name, safe="~-_."), quote(value, safe="~-_."))
        for name, value in parse_qsl(text, keep_blank_values=True)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _credential(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SourceError(f"signing for AWS needs the environment variable {name}; set it")
    return value
