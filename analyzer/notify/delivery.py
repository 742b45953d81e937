"""Sending what a run has to tell, and saying what could not be sent."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from analyzer.errors import AnalyzerError, OutputError
from analyzer.notify.message import failure, is_due, message_of
from analyzer.notify.settings import NotifySettings
from analyzer.report import Report
from analyzer.writers.metrics import write_metrics

NAME = "rightsize"
PATIENCE = 10
"""Seconds that a server of metrics gets to answer."""
_PLAIN = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


def tell(report: Report, settings: NotifySettings) -> list[str]:
    """Push the metrics and tell people; what could not be told, in one sentence each."""
    failed = []
    if settings.metrics_url is not None:
        try:
            push(write_metrics(report)["metrics.prom"], settings.metrics_url)
        except OutputError as error:
            failed.append(str(error))
    if is_due(report, settings.when):
        failed += _send(*message_of(report), settings)
    return failed


def tell_failure(error: AnalyzerError, settings: NotifySettings) -> list[str]:
    """Tell people that a run failed, and why; what could not be told."""
    return _send(*failure(str(error)), settings)


def push(metrics: bytes, url: str) -> None:
    """Post `metrics` to `url`. Raises `OutputError` where they are not taken."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.post(url, data=metrics, headers=_PLAIN, timeout=PATIENCE).raise_for_status()
        except requests.HTTPError as error:
            why = f"it answers {error.response.status_code}"
        except requests.RequestException as error:
            why = f"it cannot be reached: {type(error).__name__}"
        else:
            return
    raise OutputError(
        f"{urlsplit(url).hostname} did not take the metrics ({why}); check notify.metrics_url"
    )


def _send(title: str, text: str, settings: NotifySettings) -> list[str]:
    """Send a message to every address of the file; who could not be reached.

    An address is itself the secret with which one may write there: only its line is told.
    """
    if settings.targets_file is None:
        return []
    try:
        targets = _targets(Path(settings.targets_file))
    except OutputError as error:
        return [str(error)]
    return [
        f"{where}: the message could not be sent; check the address"
        for where, target in targets
        if target is None or not target.notify(body=text, title=title, body_format="text")
    ]


def _targets(path: Path) -> list[tuple[str, Any]]:
    """Where each address stands, and its target; None where the line is no address."""
    try:
        import apprise
    except ImportError as error:
        raise OutputError(
            "notify.targets_file needs the package apprise; install rightsize[notify]"
        ) from error
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise OutputError(f"{path}: notify.targets_file cannot be read ({reason})") from error
    # It logs the addresses that it cannot read, with the secrets in them.
    logging.getLogger("apprise").disabled = True
    asset = apprise.AppriseAsset(app_id=NAME, app_desc=NAME)
    return [
        (f"{path}, line {number}", apprise.Apprise.instantiate(line.strip(), asset=asset))
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
