"""The generator's package and what it wrote."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample-data"
sys.path.insert(0, str(SAMPLE_DATA))

NAMES = ["namespace", "workload_kind", "workload", "container"]


@pytest.fixture(scope="session")
def usage() -> pd.DataFrame:
    """The usage table, with the pattern and a number for the day of each sample."""
    table = pd.read_parquet(SAMPLE_DATA / "recording" / "usage.parquet")
    start = pd.Timestamp("2026-11-02", tz="UTC")
    table["step"] = (table["timestamp"] - start) // pd.Timedelta("5min") - 1
    return table.merge(truth_table()[[*NAMES, "pattern"]], on=NAMES, how="left")


@pytest.fixture(scope="session")
def events() -> pd.DataFrame:
    """The events table."""
    return pd.read_parquet(SAMPLE_DATA / "recording" / "events.parquet")


@pytest.fixture(scope="session")
def specs() -> pd.DataFrame:
    """The specs table."""
    return pd.read_parquet(SAMPLE_DATA / "recording" / "specs.parquet")


@pytest.fixture(scope="session")
def pods() -> pd.DataFrame:
    """The table of pods."""
    return pd.read_parquet(SAMPLE_DATA / "recording" / "pods.parquet")


@pytest.fixture(scope="session")
def truth() -> pd.DataFrame:
    """What every container will need."""
    return truth_table()


def truth_table() -> pd.DataFrame:
    """``truth.csv`` as a table."""
    return pd.read_csv(SAMPLE_DATA / "truth.csv")
