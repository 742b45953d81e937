"""Codes are stable, and every one is explained."""

from __future__ import annotations

import re
from pathlib import Path

from analyzer.recommend.admission import LIMIT_RANGE, QUOTA
from analyzer.recommend.bounds import AT_LEAST
from analyzer.recommend.codes import CODES

STEPS = re.compile(r'(?:PolicyStep|Source|within|at_least)\(\s*"([^"]+)"')


def test_every_step_of_the_policy_has_a_code_that_is_explained() -> None:
    """No step has the last word under a name that no page lists, and no page lists another."""
    folder = Path(__file__).resolve().parents[2] / "analyzer" / "recommend"
    used = {name for path in folder.glob("*.py") for name in STEPS.findall(path.read_text("utf-8"))}
    assert used | {AT_LEAST, LIMIT_RANGE, QUOTA} == set(CODES)
