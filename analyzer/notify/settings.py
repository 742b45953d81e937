"""Who hears of a run."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

When = Literal["always", "changes", "trouble"]


class NotifySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who hears of a run."""

    metrics_url: str | None = None
    """Where the metrics of a run that went well are posted to: a Pushgateway with the group,
    ``http://HOST:9091/metrics/job/rightsize/cluster/NAME``, or VictoriaMetrics,
    ``http://HOST:8428/api/v1/import/prometheus?extra_label=job=rightsize``."""
    targets_file: str | None = None
    """A file with the addresses of chats and webhooks, one Apprise address a line, such as
    ``slack://…``, ``discord://…``, ``ntfys://…``; needs the extra ``rightsize[notify]``."""
    when: When = "always"
    """Which runs people hear of: ``always``, ``changes`` (those with something to change) or
    ``trouble`` (those that failed, read only a part, or found that a merged change did harm).
    Trouble is told with each."""

    def __post_init__(self) -> None:
        if self.metrics_url is None:
            return
        parts = urlsplit(self.metrics_url)
        if "@" in parts.netloc:
            raise ValueError("metrics_url must hold neither user nor password")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            shown = re.sub(r"//.*@", "//***@", self.metrics_url)
            raise ValueError(f"metrics_url must be an http or https address, found {shown!r}")
