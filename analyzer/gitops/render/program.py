"""The programs that render: where they are, what they are called, how they are run.

They run offline, in a temporary folder, without the user's kubeconfig, plugins or repositories.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import GitOpsError

_TIMEOUT = 120.0


class RenderError(GitOpsError):
    """A chart or kustomization could not be rendered; the text is what the program said."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs a proof may use, and the folders in which charts lie. None: not to be had."""

    kubectl: Path | None = None
    helm: Path | None = None
    charts: tuple[Path, ...] = ()


def find_tools(charts: Iterable[Path] = (), *, path: str | None = None) -> Tools:
    """The programs on `path` (the process's own by default), with the given chart folders."""
    kubectl, helm = (shutil.which(name, path=path) for name in ("kubectl", "helm"))
    return Tools(Path(kubectl) if kubectl else None, Path(helm) if helm else None, tuple(charts))


def run(command: Sequence[str], home: Path) -> str:
    """Run one program in `home`, which is all it sees as its home. Raises `RenderError`."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "KUBECONFIG": os.devnull,
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "HELM_PLUGINS": str(home / "plugins"),
    }
    try:
        done = subprocess.run(
            command, cwd=home, env=environment, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise RenderError(f"{Path(command[0]).name} did not finish in {_TIMEOUT:.0f} s") from err
    except OSError as err:
        raise RenderError(f"{command[0]} could not be started: {err.strerror}") from err
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
        raise RenderError(f"{Path(command[0]).name} failed: {said}")
    return done.stdout.decode("utf-8", "replace")


def helm_version(helm: Path) -> str:
    """The version as shown in proofs, such as ``helm 4.3.1``. Raises `RenderError`."""
    return f"helm {_version([str(helm), 'version', '--short'], '')}"


def kustomize_version(kubectl: Path) -> str:
    """As shown in proofs, such as ``kubectl kustomize 5.8.1``. Raises `RenderError`."""
    return f"kubectl kustomize {_version([str(kubectl), 'version', '--client'], 'Kustomize')}"


def kubectl_version(kubectl: Path) -> str:
    """The client's version, such as ``kubectl 1.37.0``. Raises `RenderError`."""
    return f"kubectl {_version([str(kubectl), 'version', '--client'], 'Client')}"


def _version(command: Sequence[str], after: str) -> str:
    """The first version that a program names behind the word `after`."""
    with tempfile.TemporaryDirectory(prefix="rightsize-") as home:
        said = run(command, Path(home))
    match = re.search(rf"{after}.*?(\d+\.\d+\.\d+)", said)
    return match.group(1) if match else "of an unknown version"
