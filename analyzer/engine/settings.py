"""How work is handed out."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from analyzer.engine.address import Address, parse_address
from analyzer.shard import MOST


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether and where a cluster is read in shards, and the clusters of a fleet are run."""

    scheduler: str = "none"
    """The Dask scheduler that hands work out: ``tcp://HOST:PORT``, ``tls://HOST:PORT`` with the
    certificates of Dask's own configuration, ``local`` or ``local:N`` for workers on this machine;
    ``none``: all is done in this process. Needs the extra ``rightsize[dask]``."""
    shards: int = 0
    """In how many parts, by namespace, a cluster is read; 0: as many as there are workers."""
    wait: timedelta = timedelta(minutes=2)
    """How long to wait for the scheduler, and then for its first worker."""
    retries: int = 2
    """How often a part that failed is tried again. One whose worker died is tried elsewhere, as
    often as Dask's own configuration allows (three times)."""
    patience: timedelta = timedelta(minutes=5)
    """Once half of the parts are read, one that takes three times as long as the slowest of them,
    and this long at least, is read by an idle worker as well; whichever is first counts."""

    def __post_init__(self) -> None:
        parse_address(self.scheduler)
        if not 0 <= self.shards <= MOST:
            raise ValueError(f"shards must lie between 0 and {MOST}, found {self.shards}")
        if not 0 <= self.retries <= 10:
            raise ValueError(f"retries must lie between 0 and 10, found {self.retries}")
        for name in ("wait", "patience"):
            if not timedelta(seconds=1) <= getattr(self, name) <= timedelta(days=1):
                raise ValueError(f"{name} must lie between 1s and 1d")

    @property
    def address(self) -> Address | None:
        """The scheduler that is meant; None where all is done in this process."""
        return parse_address(self.scheduler)
