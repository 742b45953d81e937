"""The programs that render: where they are, what they are called, how they are run.

They run offline, in a temporary folder, without the user's kubeconfig, plugins or repositories,
and within limits of time, memory and output: charts and kustomizations come from strangers.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import GitOpsError

_TIMEOUT = 120.0
_MEMORY = 4 * 2**30
"""Bytes of address space: Go sets aside several times of what it uses."""
_OUTPUT = 256 * 2**20
_UNPRINTABLE = re.compile("[\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that answers nobody."""


class RenderError(GitOpsError):
    """A chart or kustomization could not be rendered; the text is what the program said."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs a proof may use, and the folders in which charts lie. None: not to be had."""

    kubectl: Path | None = None
    helm: Path | None = None
    charts: tuple[Path, ...] = ()
    at_once: int = 1
    """So many programs may run at a time."""


def find_tools(charts: Iterable[Path] = (), *, path: str | None = None) -> Tools:
    """The programs on `path` (the process's own by default), with the given chart folders."""
    kubectl, helm = (shutil.which(name, path=path) for name in ("kubectl", "helm"))
    return Tools(Path(kubectl) if kubectl else None, Path(helm) if helm else None, tuple(charts))


def as_json(value: object) -> str:
    """A value as JSON that helm and kustomize read, which take it for YAML.

    To them half of a character above U+FFFF, as JSON may spell it, is an error; what YAML does not
    allow as it is stays spelled out.
    """
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def run(command: Sequence[str], home: Path) -> str:
    """Run one program in `home`, which is all it sees as its home. Raises `RenderError`."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as err:
            raise RenderError(f"{command[0]} could not be started: {err.strerror}") from err
        _limit(process.pid)
        said = _awaited(process, Path(command[0]).name)
        output.seek(0)
        written = output.read().decode("utf-8", "replace")
    if process.returncode != 0:
        words = " ".join(said.decode("utf-8", "replace").split())
        for place in (home.resolve(), home):  # its name is another one in every run
            words = words.replace(f"{place}/", "")
        words = words[-300:]
        ended = f"was ended by signal {-process.returncode}" if process.returncode < 0 else "failed"
        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if 0 <= most < _MEMORY:  # what is unlimited is below 0
            ended += f" with {most // 2**20} MiB of memory addresses (ulimit -v)"
        raise RenderError(f"{Path(command[0]).name} {ended}: {words}".rstrip(": "))
    return written


def _environment(home: Path) -> dict[str, str]:
    """What a program sees: its own home, and no way to the network."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "KUBECONFIG": os.devnull,
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "HELM_PLUGINS": str(home / "plugins"),
        "GOMEMLIMIT": str(_MEMORY // 2),
        # kustomize fetches with git and over HTTP whatever looks like an address.
        "GIT_ALLOW_PROTOCOL": "none",
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
    }


def _limit(pid: int) -> None:
    """Hold a program that has just been started to its limits, where the system has such.

    A limit that it has inherited is never raised, which takes privileges, but holds where tighter.
    """
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        return
    for kind, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, _OUTPUT),
        (resource.RLIMIT_CPU, int(_TIMEOUT)),
    ):
        with suppress(ProcessLookupError):  # it is done already
            inherited = [limit for limit in prlimit(pid, kind) if limit != resource.RLIM_INFINITY]
            prlimit(pid, kind, (min([most, *inherited]),) * 2)


def _awaited(process: subprocess.Popen[bytes], name: str) -> bytes:
    """What a program says on its error channel, once it is done. Raises `RenderError`."""
    try:
        return process.communicate(timeout=_TIMEOUT)[1]
    except subprocess.TimeoutExpired as err:
        raise RenderError(f"{name} did not finish in {_TIMEOUT:.0f} s") from err
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


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
