"""What is counted of a run: skipped containers by reason, and proposals that are open."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from analyzer.cli import main
from analyzer.sources import save_recording
from analyzer.tables import validate_specs
from analyzer.usage import Recording, Usage
from tests.samples import meta, steady
from tests.samples import names as named


def counted(out: Path, name: str) -> dict[str, float]:
    """What ``metrics.prom`` has of one metric, by the label beside the cluster."""
    families = text_string_to_metric_families((out / "metrics.prom").read_text())
    (family,) = (f for f in families if f.name == name)
    return {"".join(set(s.labels.values()) - {"lab"}): s.value for s in family.samples}


def run(recording: Path, out: Path, *words: str) -> None:
    """A run without charts."""
    given = ["run", "-q", "--source", f"recording:{recording}", "-o", str(out), "--no-charts"]
    done = CliRunner().invoke(main, [*given, *words])
    assert done.exit_code == 0, done.output


def test_skipped_are_counted_by_reason_and_open_proposals_until_they_are_not(
    tmp_path: Path,
) -> None:
    """One is off, one too young, one never seen; what is proposed twice is one open proposal."""
    window = meta(8)
    asked = {"cpu_request_cores": 2.0, "memory_request_bytes": 4 * 2.0**30}
    names = ("web", "young", "idle", "calm")
    usage = pd.concat(
        [
            steady(8),
            steady(8).assign(workload="young", pod="young-1").tail(500),
            steady(8).assign(workload="calm", pod="calm-1"),
        ]
    )
    specs = validate_specs(pd.DataFrame([named(workload=name) | asked for name in names]))
    made = Recording(window, Usage.from_frame(usage, window), specs=specs)
    save_recording(made, tmp_path / "rec")
    (tmp_path / "rightsize.yaml").write_text(
        "rules:\n- workload: calm\n  set: {direction: 'off'}\n"
        "- workload: young\n  set: {min_samples: 1000}\n"
    )
    words = ["--config", str(tmp_path / "rightsize.yaml"), "--ledger", str(tmp_path / "ledger")]
    for number in ("1", "2"):
        run(tmp_path / "rec", tmp_path / number, *words)
        told = json.loads((tmp_path / number / "run.json").read_bytes())
        reasons = counted(tmp_path / number, "rightsize_containers_skipped")
        assert {name: n for name, n in reasons.items() if n} == {
            "few samples": 1,
            "off": 1,
            "unobserved": 1,
        }
        assert Counter(one["code"] for one in told["skipped"]) == Counter(
            {name: int(n) for name, n in reasons.items()}
        )
        assert counted(tmp_path / number, "rightsize_proposals_open") == {"": 1}
        assert told["proposals_open"] == 1
