"""What a release ships beside the wheel: a list of all it stands on, and a plugin of kubectl."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import yaml

from analyzer import __version__

ROOT = Path(__file__).resolve().parent.parent


def test_the_bill_of_materials_lists_what_is_locked(tmp_path: Path) -> None:
    """Every package in its very version with the digests of its files, and no other."""
    out = tmp_path / "sbom.json"
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([ROOT / "scripts" / "sbom", out], env=environment, check=True)
    found = json.loads(out.read_text())
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([\w.-]+)==([^ ;\\]+)((?:.*\\\n)+.*)", lock, re.MULTILINE)
    expected = {(n, v): set(re.findall("[0-9a-f]{64}", rest)) for n, v, rest in pinned}
    listed = {
        (c["name"], c["version"]): {
            digest["content"] for r in c["externalReferences"] for digest in r.get("hashes", ())
        }
        for c in found["components"]
    }
    assert found["bomFormat"] == "CycloneDX"
    assert found["metadata"]["component"]["name"] == "rightsize"
    assert len(expected) > 40
    assert listed == expected


def test_the_plugin_of_krew_is_whole_and_its_manifest_true(tmp_path: Path) -> None:
    """The manifest keeps krew's rules, and its digest is that of the archive."""
    archive, manifest = made_plugin(tmp_path / "one")
    again, _ = made_plugin(tmp_path / "two")
    assert archive == again
    plugin = yaml.safe_load(manifest)
    assert plugin["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert (plugin["kind"], plugin["metadata"]["name"]) == ("Plugin", "rightsize")
    spec = plugin["spec"]
    assert re.fullmatch(r"v\d+\.\d+\.\d+", spec["version"])
    assert spec["version"] == f"v{__version__}"
    assert 0 < len(spec["shortDescription"]) <= 50
    assert not spec["shortDescription"].endswith(".")
    (platform,) = spec["platforms"]
    assert platform["sha256"] == hashlib.sha256(archive).hexdigest()
    assert platform["uri"].startswith("https://example.org/me/rightsize/releases/download/v")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert {platform["bin"], "LICENSE"} <= set(tar.getnames())


def test_kubectl_runs_the_plugin(tmp_path: Path) -> None:
    """A real kubectl finds it and hands over all words; without uv and pipx it says what to do."""
    archive, _ = made_plugin(tmp_path / "made")
    home = tmp_path / "bin"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(home, filter="data")
    kubectl = shutil.which("kubectl")
    assert kubectl is not None
    (home / "sh").symlink_to("/bin/sh")

    def call() -> subprocess.CompletedProcess[str]:
        words = [kubectl, "rightsize", "recommend", "-n", "a b"]
        environment = {**os.environ, "PATH": str(home)}
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    missing = call()
    assert missing.returncode == 1
    assert "needs uv or pipx" in missing.stderr
    # What uv would fetch is not published here: the words that reach it are what counts.
    (home / "uvx").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (home / "uvx").chmod(0o755)
    assert call().stdout.splitlines() == [
        *("--from", f"rightsize=={__version__}", "kubectl-rightsize", "recommend", "-n", "a b")
    ]


def made_plugin(folder: Path) -> tuple[bytes, str]:
    """The archive and the manifest that the script writes."""
    script = ROOT / "scripts" / "make_krew.py"
    home = "https://example.org/me/rightsize"
    subprocess.run([sys.executable, script, folder, home], check=True)
    archive = (folder / "kubectl-rightsize.tar.gz").read_bytes()
    return archive, (folder / "rightsize.yaml").read_text()
