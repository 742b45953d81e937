"""What a chart says in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from analyzer.plots.words import headline
from tests.samples import recommendation, resources


@pytest.mark.parametrize(
    ("word", "remark"),
    [
        ("steady", "steady usage"),
        ("shift", "usage moved to another level"),
        ("leak", "usage climbs through each pod's life"),
    ],
)
def test_a_finding_is_told_as_a_sentence_would(word: str, remark: str) -> None:
    """Adjectives describe usage; other findings say what it does."""
    of = recommendation(resources("1", "1Gi"), resources("500m", "512Mi"))
    of = replace(of, findings={"cpu": word, "memory": word})
    assert remark in str(headline(of, "homelab", timedelta(minutes=5)))
