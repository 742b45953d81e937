"""Signing in to a cloud, with the clouds' own libraries against stand-ins for what they ask."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pytest_httpserver import HTTPServer

from analyzer.errors import SourceError, UsageError
from analyzer.sources.prometheus.auth import NoAuth, authentication
from analyzer.sources.prometheus.cloud import AZURE_SCOPE, Aws, Azure, Google
from analyzer.sources.prometheus.settings import PrometheusSettings

URL = "https://example.amazonaws.com/"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of this machine, and no look at what a cloud's machine would answer."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "IDENTITY_", "MSI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def signed(
    auth: requests.auth.AuthBase, url: str = URL
) -> requests.structures.CaseInsensitiveDict[str]:
    """The headers of a request that `auth` let through."""
    return requests.Request("GET", url, auth=auth).prepare().headers


def test_the_signature_is_that_of_the_published_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """get-vanilla of AWS' test suite for Signature Version 4."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda: datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    )
    assert signed(Aws("us-east-1", "service"))["Authorization"].endswith(
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


def in_an_hour() -> str:
    """A moment as AWS writes it."""
    return f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_a_pod_with_a_role_signs_with_it(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """IRSA: the token of the service account is exchanged for a session, which is signed with."""
    token = tmp_path / "token"
    token.write_text("of-the-service-account")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", httpserver.url_for("/"))
    httpserver.expect_request("/", method="POST").respond_with_data(
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIASESSION</AccessKeyId>"
        f"<SecretAccessKey>x</SecretAccessKey><SessionToken>session</SessionToken>"
        f"<Expiration>{in_an_hour()}</Expiration></Credentials>"
        "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        content_type="text/xml",
    )
    headers = signed(Aws("eu-west-1"))
    assert "Credential=ASIASESSION/" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "session"
    assert httpserver.log[0][0].form["WebIdentityToken"] == "of-the-service-account"


def test_pod_identity_signs_with_what_the_agent_gives(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """EKS pod identity: the agent of the node is asked, with the token of the pod."""
    (tmp_path / "agent-token").write_text("of-the-pod")
    address = f"http://127.0.0.1:{httpserver.port}/v1/credentials"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "agent-token"))
    given = {"AccessKeyId": "ASIAPOD", "SecretAccessKey": "x", "Token": "t"}
    httpserver.expect_request("/v1/credentials").respond_with_json(
        given | {"Expiration": in_an_hour()}
    )
    assert "Credential=ASIAPOD/" in signed(Aws("eu-west-1"))["Authorization"]
    assert httpserver.log[0][0].headers["Authorization"] == "of-the-pod"


def test_google_sends_the_token_of_its_default_credentials(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Here those of a service account, exchanged once and used for as long as they hold."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = tmp_path / "adc.json"
    known = {"type": "service_account", "client_email": "a@b", "private_key": pem}
    address = f"http://127.0.0.1:{httpserver.port}/token"
    file.write_text(json.dumps(known | {"token_uri": address, "project_id": "p"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    httpserver.expect_request("/token", method="POST").respond_with_json(
        {"access_token": "of-google", "expires_in": 3600, "token_type": "Bearer"}
    )
    auth = Google()
    for _ in range(2):
        assert signed(auth)["Authorization"] == "Bearer of-google"
    assert len(httpserver.log) == 1


def test_azure_sends_the_token_of_its_default_credentials(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here those of a managed identity, for the scope of managed Prometheus."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{httpserver.port}/msi")
    monkeypatch.setenv("IDENTITY_HEADER", "h")
    httpserver.expect_request("/msi").respond_with_json(
        {
            "access_token": "of-azure",
            "expires_on": str(int(time.time()) + 3600),
            "resource": AZURE_SCOPE,
            "token_type": "Bearer",
        }
    )
    auth = Azure()
    for _ in range(2):
        assert signed(auth)["Authorization"] == "Bearer of-azure"
    (asked,) = [request for request, _ in httpserver.log]
    assert asked.args["resource"] == AZURE_SCOPE.removesuffix("/.default")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [(lambda: Aws("eu-west-1"), "AWS SDK finds no credentials"), (Google, "Google Cloud gives no")],
)
def test_without_credentials_one_sentence_says_so(
    make: Callable[[], requests.auth.AuthBase], complaint: str
) -> None:
    """And where they may come from."""
    with pytest.raises(SourceError, match=complaint) as raised:
        signed(make())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "package", "extra"),
    [
        (PrometheusSettings(aws_region="eu-west-1"), "botocore", "aws"),
        (PrometheusSettings(sign_in="google"), "google", "google"),
        (PrometheusSettings(sign_in="azure"), "azure", "azure"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, settings: PrometheusSettings, package: str, extra: str
) -> None:
    """Nobody needs all three clouds, so none is there by itself."""
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SourceError, match=rf"install rightsize\[{extra}\]"):
        authentication(settings, None)


def test_ways_of_signing_in_exclude_each_other() -> None:
    """Both are named; without any nothing is sent."""
    with pytest.raises(UsageError, match="aws_region and sign_in exclude each other"):
        PrometheusSettings(aws_region="eu-west-1", sign_in="google")
    assert isinstance(authentication(PrometheusSettings(), None), NoAuth)
