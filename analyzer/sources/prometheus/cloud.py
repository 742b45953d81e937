"""Signing in to the managed Prometheus of a cloud, by the cloud's own library.

Each looks for credentials where its users keep them, and renews them: an access key or a profile,
the role of a pod (IRSA and pod identity on EKS, workload identity on GKE and AKS), the identity of
the machine. The libraries are extras, for nobody needs all three: `rightsize[aws]`,
`rightsize[google]`, `rightsize[azure]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.auth import AuthBase

from analyzer.errors import SourceError

GOOGLE_SCOPE = "https://www.googleapis.com/auth/monitoring.read"
AZURE_SCOPE = "https://prometheus.monitor.azure.com/.default"


class Aws(AuthBase):
    """Signs requests for Amazon Managed Service for Prometheus (Signature Version 4)."""

    def __init__(self, region: str, service: str = "aps") -> None:
        with _library("botocore", "aws"):
            import botocore.session
        self.region, self.service = region, service
        self._session = botocore.session.Session()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the date, the token of a session and the signature."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise SourceError(
                    "the AWS SDK finds no credentials; give the pod a role (IRSA or pod "
                    "identity), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and its secret"
                )
            frozen = credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise _refused("AWS", error) from error
        signed = AWSRequest(request.method, request.url, data=request.body or b"")
        SigV4Auth(frozen, self.service, self.region).add_auth(signed)
        request.headers.update(signed.headers)
        return request


class Google(AuthBase):
    """Sends a token of Google Cloud, by its application default credentials."""

    def __init__(self) -> None:
        with _library("google-auth", "google"):
            import google.auth
        self._credentials: Any  # its library has types for half of it
        try:
            self._credentials, _ = google.auth.default(scopes=[GOOGLE_SCOPE])
        except google.auth.exceptions.GoogleAuthError as error:
            raise _refused("Google Cloud", error) from error

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token, a new one where the last is about to end."""
        import google.auth.exceptions
        from google.auth.transport.requests import Request

        try:
            if not self._credentials.valid:
                self._credentials.refresh(Request())
        except google.auth.exceptions.GoogleAuthError as error:
            raise _refused("Google Cloud", error) from error
        return _with_token(request, self._credentials.token)


class Azure(AuthBase):
    """Sends a token of Azure, by its default credentials."""

    def __init__(self) -> None:
        with _library("azure-identity", "azure"):
            from azure.identity import DefaultAzureCredential
        self._credential: Any = DefaultAzureCredential()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token; the library keeps it until it is about to end."""
        from azure.core.exceptions import AzureError

        try:
            token = self._credential.get_token(AZURE_SCOPE).token
        except (AzureError, ValueError) as error:
            raise _refused("Azure", error) from error
        return _with_token(request, token)


def _with_token(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


@contextmanager
def _library(name: str, extra: str) -> Iterator[None]:
    """Say which extra is missing where the block imports what is not installed."""
    try:
        yield
    except ImportError as error:
        raise SourceError(
            f"signing in needs the package {name}; install rightsize[{extra}]"
        ) from error


def _refused(cloud: str, error: Exception) -> SourceError:
    """The first line of what the library says: the rest lists all places it looked in."""
    said = str(error).strip().partition("\n")[0][:300]
    return SourceError(f"{cloud} gives no credentials: {said or type(error).__name__}")
