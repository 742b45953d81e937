"""Every command on the sample cluster, as a user types it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.sources import load_recording, save_recording
from analyzer.tables import validate_events

SAMPLE = Path(__file__).parents[2] / "sample-data"
RECORDING = ["--source", f"recording:{SAMPLE}/recording"]


def call(*words: str | Path) -> Result:
    """Run the command line in this process; it must not fail."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def test_a_table_as_kubectl_prints_it() -> None:
    """Aligned columns, a header, only changes, one namespace."""
    lines = call("recommend", *RECORDING, "-n", "media").stdout.splitlines()
    assert lines[0].split()[:3] == ["NAMESPACE", "WORKLOAD", "CONTAINER"]
    assert len(lines) > 3
    assert all(line.startswith("media ") for line in lines[1:])
    assert any("deployment/sonarr" in line and "->" in line for line in lines)


def test_every_output_format_says_the_same() -> None:
    """Names, JSON, YAML and CSV agree on who is there."""
    only = ["recommend", *RECORDING, "-n", "media", "--all", "-o"]
    value = json.loads(call(*only, "json").stdout)
    assert value["schema"] == "rightsize/v1"
    refs = [r["ref"] for r in value["recommendations"]]
    names = [f"{r['namespace']}/{r['kind']}/{r['workload']}/{r['container']}" for r in refs]
    assert names == call(*only, "name").stdout.splitlines()
    assert yaml.safe_load(call(*only, "yaml").stdout) == value
    rows = list(csv.DictReader(io.StringIO(call(*only, "csv").stdout)))
    assert [row["workload"] for row in rows] == [r["workload"] for r in refs]
    assert call(*only, "markdown").stdout.startswith("# Right-sizing homelab")


def test_labels_select() -> None:
    """Keys may be written as in Kubernetes."""
    key = "app.kubernetes.io/instance=sonarr"
    found = call("recommend", *RECORDING, "-l", key, "--all", "-o", "name").stdout.splitlines()
    assert found
    assert all("/sonarr/" in name for name in found)


def test_explain_shows_every_step() -> None:
    """From usage to the amount, with a reason each."""
    text = call("explain", *RECORDING, "media/sonarr").stdout
    assert "memory request:" in text
    assert "demand" in text
    assert "at a risk of" in text


def test_explain_tells_what_befell_a_container(tmp_path: Path) -> None:
    """Kills, restarts and pressure stand beside the usage; a quiet container has no such line."""
    recording = load_recording(Path(RECORDING[1].partition(":")[2]))
    hour = recording.events.head(1).assign(kind="cpu_pressure", value=0.3)
    events = validate_events(pd.concat([recording.events, hour], ignore_index=True))
    save_recording(replace(recording, events=events), tmp_path / "r")
    source = ("--source", f"recording:{tmp_path / 'r'}")
    assert hour["workload"].item() == "flaresolverr"
    text = call("explain", *source, "downloads/flaresolverr").stdout
    # One of 21 days' hours, less what was not observed.
    assert re.search(r"  seen: 31 OOM kills, 31 restarts, waiting for CPU in 0\.2% of the", text)
    assert "container, 1 replica; 21.0 days" in text
    text = call("explain", *source, "flux-system/helm-controller").stdout
    assert re.search(r"  seen: throttled in 0\.0\d+% of the steps", text)  # not 0.0%
    assert "  seen: " not in call("explain", *source, "media/plex").stdout


def test_a_namespace_is_chosen_in_any_source(tmp_path: Path) -> None:
    """For a recording as for a server, by -n and by settings."""
    only = call("run", *RECORDING, "-n", "media", "-o", tmp_path / "o", "--no-charts", "-q")
    assert only.exit_code == 0
    value = json.loads((tmp_path / "o" / "run.json").read_text())
    assert {r["ref"]["namespace"] for r in value["recommendations"]} == {"media"}


def test_what_is_declared_twice_is_named_with_both_places(tmp_path: Path) -> None:
    """It is declared, so nothing is said of another repository; a person decides."""
    manifest = (
        "apiVersion: apps/v1\nkind: Deployment\n"
        "metadata: {name: flaresolverr, namespace: downloads}\n"
        "spec: {template: {spec: {containers: [{name: app, image: f:1}]}}}\n"
    )
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.yaml").write_text(manifest)
    done = CliRunner().invoke(
        main, ["diff", *RECORDING, "-n", "downloads", "--repo", str(tmp_path)]
    )
    assert done.exit_code == 0 and not done.stdout
    assert "2 places fit" in done.stderr
    assert "a/one.yaml" in done.stderr and "b/one.yaml" in done.stderr


def test_a_repository_of_something_else_is_one_sentence(tmp_path: Path) -> None:
    """An empty diff would look like nothing to do."""
    (tmp_path / "x.yaml").write_text("a: 1\n")
    done = CliRunner().invoke(main, ["diff", *RECORDING, "-q", "--repo", str(tmp_path)])
    assert done.exit_code == 2
    assert "nothing here declares any of the" in done.stderr


@pytest.mark.parametrize("command", ["run", "diff", "patch", "trace"])
def test_a_mistyped_repository_is_told_before_usage_is_read(command: str, tmp_path: Path) -> None:
    """Reading can take an hour; not a word of it is said."""
    folder = tmp_path / "nowhere"
    done = CliRunner().invoke(main, [command, *RECORDING, "--repo", str(folder)])
    assert done.exit_code == 1
    assert done.stderr == f"Error: expected a folder with a repository, found none at {folder}\n"


def test_exit_code_tells_a_script_that_something_changes() -> None:
    """4, on demand."""
    result = CliRunner().invoke(main, ["recommend", *RECORDING, "--exit-code"])
    assert result.exit_code == 4


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample recording, but something could not be read when it was made."""
    recording = load_recording(Path(RECORDING[1].partition(":")[2]))
    folder = tmp_path_factory.mktemp("partial") / "recording"
    meta = replace(recording.meta, warnings=("the throttling of 2 Nov was not read",))
    save_recording(replace(recording, meta=meta), folder)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["recommend"],
        ["explain", "media/sonarr"],
        ["diff", "-n", "media", "--repo", f"{SAMPLE}/gitops"],
        ["trace", "-n", "media", "--repo", f"{SAMPLE}/gitops", "-o", "json"],
    ],
    ids=lambda words: words[0],
)
def test_what_could_not_be_read_is_said_with_the_exit_code(words: list[str], partial: Path) -> None:
    """3, and the reason on stderr even where talk is unwanted; the result is there all the same."""
    done = CliRunner().invoke(main, [*words, "-q", "--source", f"recording:{partial}"])
    assert done.exit_code == 3
    assert "partial: the throttling of 2 Nov was not read\n" in done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("words", "judged"),
    [(["recommend"], False), (["recommend", "-o", "markdown"], True)],
    ids=["table", "summary"],
)
def test_the_past_is_judged_where_it_is_shown(words: list[str], judged: bool) -> None:
    """A table tells nothing of it, so nobody waits for it."""
    done = call(*words, *RECORDING)
    assert ("review 1, pooled" in done.stderr) == judged
    assert ("this policy would have" in done.stdout) == judged


def test_a_run_twice_decides_the_same(tmp_path: Path) -> None:
    """Equal input gives byte-identical files; only those that name the date differ."""
    outputs = [tmp_path / "one", tmp_path / "two"]
    for output in outputs:
        call("run", *RECORDING, "--repo", SAMPLE / "gitops", "-o", output, "--no-charts", "-q")
    files = [
        {p.relative_to(o).as_posix(): p.read_bytes() for p in o.rglob("*") if p.is_file()}
        for o in outputs
    ]
    assert set(files[0]) == set(files[1])
    differing = {name for name in files[0] if files[0][name] != files[1][name]}
    assert differing <= {"run.json", "summary.md", "index.html", "metrics.prom", "SHA256SUMS"}
    assert {"patches/kustomize/kustomization.yaml", "git/all.diff", "recommendations.csv"} <= set(
        files[0]
    )


def test_help_and_version_load_nothing_heavy() -> None:
    """They answer at once: no pandas, scikit-learn or matplotlib is loaded.

    Of pandas its core is looked for: `deferred` puts a stand-in under its own name.
    """
    code = (
        "import sys\nfrom analyzer.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('pandas.core','numpy','sklearn','matplotlib','pyarrow','rich') "
        "if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command: str) -> None:
    """A sentence, its options, and no failure."""
    assert call(command, "--help").stdout.startswith("Usage: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(shell: str) -> None:
    """To be sourced by the shell."""
    assert "rightsize" in call("completion", shell).stdout


def test_config_shows_values_and_their_origin(tmp_path: Path) -> None:
    """Who set what."""
    path = tmp_path / "r.yaml"
    path.write_text("window: 7d\n")
    lines = call("config", "--config", path, "--cluster", "lab").stdout.splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines}
    assert found["window"] == ["7d", str(path)]
    assert found["cluster"] == ["lab", "flag"]
    assert found["horizon"] == ["7d", "default"]
    assert "properties" in call("config", "--schema").stdout


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """`rightsize ... | head -1` ends quietly."""
    command = [sys.executable, "-m", "analyzer", "recommend", *RECORDING, "-q"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=SAMPLE.parent, env=os.environ
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
