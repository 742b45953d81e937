"""Pods whose owners nobody tells: many or few is a question to the whole cluster, in shards too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from analyzer.shard import Shard
from analyzer.sources import PrometheusSettings, PrometheusSource, Window, save_recording
from analyzer.sources.recording.merging import merge_shards
from analyzer.usage import Recording
from tests.sources.conftest import blocks, prometheus
from tests.sources.oddcluster import Pod
from tests.sources.smallcluster import END, LAST, Text

DAY = Window(END, timedelta(days=1))
OWNED = {"few": 30, "many": 120}
"""How many pods with an owner two namespaces have; a third has one pod, and nobody tells whose."""
LONELY = "1 pods have no owner series and stand for themselves, for example lonely/lonely-1-aaaaa"
SHARDS = 4
"""Of so many, `lonely` has one for itself."""


def openmetrics() -> str:
    """The last twenty minutes of a day."""
    out = Text(1)
    span = (LAST - 1200, LAST)
    for space, count in OWNED.items():
        for number in range(count):
            pod = Pod(space, span, f"1-{number:05d}")
            pod.usage(out, 0.1, 100)
            pod.state(out)
    Pod("lonely", span).usage(out, 0.1, 100)
    return "\n".join(dict.fromkeys(out.lines)) + "\n# EOF\n"


@pytest.fixture(scope="module")
def url(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds them."""
    folder = blocks(shared, "strangers", openmetrics)
    with prometheus(folder, tmp_path_factory.mktemp("strangers")) as address:
        yield address


def merged(source: PrometheusSource, folder: Path) -> Recording:
    """The cluster as its shards tell of it, each recorded and read back."""
    for index in range(SHARDS):
        part = source.read(replace(DAY, shard=Shard(index, SHARDS)))
        save_recording(part, folder / str(index))
    return merge_shards([folder])


@pytest.mark.parametrize(
    ("beside", "warned"), [("many", False), ("few", True)], ids=["few of many", "many of few"]
)
def test_shards_say_what_the_whole_says(
    url: str, tmp_path: Path, beside: str, *, warned: bool
) -> None:
    """One pod of 121 lived between two scrapes; one of 31 is worth a word. Alone it is all pods."""
    (own,) = (n for n in range(SHARDS) if Shard(n, SHARDS).owns("lonely"))
    assert not any(Shard(own, SHARDS).owns(space) for space in OWNED)
    source = PrometheusSource(url, PrometheusSettings(namespaces=("lonely", beside)))
    whole = source.read(DAY)
    assert [LONELY in warning for warning in whole.meta.warnings] == [True] * warned
    found = merged(source, tmp_path / "shards")
    assert found.meta == whole.meta
    assert found.usage.to_frame().equals(whole.usage.to_frame())


def test_a_shard_in_doubt_is_asked_for_again(url: str, tmp_path: Path) -> None:
    """From the cache it would come without its doubt, and the cluster without its warning."""
    settings = PrometheusSettings(namespaces=("lonely", "few"), cache=tmp_path / "cache")
    source = PrometheusSource(url, settings)
    first, again = (merged(source, tmp_path / name) for name in ("first", "again"))
    assert any(LONELY in warning for warning in first.meta.warnings)
    assert again.meta == first.meta
