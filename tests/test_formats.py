"""What was written stays readable: files of earlier versions, as they lie in `tests/formats`.

A test here fails where a change would leave somebody's files behind. The files are never made anew;
one of a new format is put beside them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from analyzer.cli import main
from analyzer.config import load_config
from analyzer.ledger import read_ledger
from analyzer.quantity import Cpu, Memory
from analyzer.report import load_report
from analyzer.sources import load_recording
from analyzer.workload import ContainerRef

FORMATS = Path(__file__).parent / "formats"
WEB = ContainerRef("lab", "shop", "Deployment", "web", "app")


def test_a_run_of_the_first_format_is_read() -> None:
    """Every amount and its trail, as that version found them."""
    report = load_report(FORMATS / "run.json")
    (found,) = report.recommendations
    assert found.ref == WEB
    assert found.proposed.cpu_request == Cpu.parse("110m")
    assert found.proposed.memory_request == Memory.parse("136Mi")
    assert found.trail["memory_request"][0].name == "peak"
    assert report.created == datetime(2026, 11, 26, tzinfo=UTC)


def test_commands_work_from_it() -> None:
    """Not only is it read: what is asked of an earlier run is answered."""
    words = ["explain", "--from", str(FORMATS / "run.json"), "shop/web"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "memory request" in done.stdout


def test_a_recording_of_the_first_format_is_read() -> None:
    """All samples, in their units."""
    recording = load_recording(FORMATS / "recording")
    usage = recording.usage
    assert usage.containers == (WEB,)
    assert len(usage.cpu_cores) == 3 * 288
    assert abs(float(usage.cpu_cores[0]) - 0.1) < 1e-6
    assert float(usage.memory_bytes[-1]) == 100 * 2**20


def test_a_ledger_of_the_first_format_is_read() -> None:
    """What was proposed then is known now."""
    rows = read_ledger(FORMATS / "ledger")
    assert len(rows) > 0


def test_settings_of_the_first_version_are_read() -> None:
    """Names and meanings are kept."""
    config = load_config(FORMATS / "rightsize.yaml").config
    assert config.window == "28d"
    assert config.preset == "careful"
    assert config.policy.cpu_ceiling == Cpu.parse("4")
    assert config.git.repo == "/repository"
