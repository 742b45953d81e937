#!/usr/bin/env python3
"""The krew plugin of a release: scripts/make_krew.py FOLDER HOME writes its archive and manifest.

HOME is the address of the repository that releases it.
kubectl finds `kubectl-rightsize` on the PATH however it got there. For those who install plugins
with krew, the archive holds a script of that name, which has uv or pipx run the very version.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analyzer import __version__

ROOT = Path(__file__).resolve().parent.parent
_SCRIPT = """#!/bin/sh
# rightsize {version} as a kubectl plugin: run by uv or pipx, whichever there is.
if command -v uvx >/dev/null 2>&1; then
    exec uvx --from 'rightsize=={version}' kubectl-rightsize "$@"
elif command -v pipx >/dev/null 2>&1; then
    exec pipx run --spec 'rightsize=={version}' kubectl-rightsize "$@"
fi
echo 'kubectl rightsize needs uv or pipx, which fetch it and the Python it runs on' >&2
exit 1
"""


def archive() -> bytes:
    """The script and the licence; the same bytes whenever and wherever it is made."""
    script = _SCRIPT.format(version=__version__).encode()
    files = {
        "kubectl-rightsize": (script, 0o755),
        "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644),
    }
    made = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=made, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def manifest(packed: bytes, home: str) -> str:
    """What krew's index holds of the plugin, for the archive as `home` releases it."""
    version = f"v{__version__}"
    platform = {
        "selector": {
            "matchExpressions": [{"key": "os", "operator": "In", "values": ["darwin", "linux"]}]
        },
        "uri": f"{home}/releases/download/{version}/kubectl-rightsize.tar.gz",
        "sha256": hashlib.sha256(packed).hexdigest(),
        "bin": "kubectl-rightsize",
        "files": [{"from": "*", "to": "."}],
    }
    plugin = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "rightsize"},
        "spec": {
            "version": version,
            "homepage": home,
            "shortDescription": "Requests and limits from real usage, into Git",
            "description": (
                "Learns from Prometheus what containers need, and changes requests and limits\n"
                "where Git declares them.\n"
            ),
            "caveats": "Needs uv or pipx on the PATH.\n",
            "platforms": [platform],
        },
    }
    return yaml.safe_dump(plugin, sort_keys=False)


def main() -> None:
    """Write both into the folder that is named."""
    folder, home = Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    packed = archive()
    (folder / "kubectl-rightsize.tar.gz").write_bytes(packed)
    (folder / "rightsize.yaml").write_text(manifest(packed, home))


if __name__ == "__main__":
    main()
