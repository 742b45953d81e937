"""Git over ssh, with a real sshd: a deploy key by file, and host keys that are enforced."""

from __future__ import annotations

import getpass
import json
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from tests.conftest import program_or_skip
from tests.forge.conftest import Git
from tests.forge.standin import REPOSITORY, Standin, serve

PRIVILEGES = Path("/run/sshd")
"""Without it sshd does not serve as root; on a machine that runs one it is there."""


@dataclass
class Door:
    """An sshd on this machine, and the keys that it knows."""

    folder: Path
    port: int = 0

    @property
    def known_hosts(self) -> Path:
        """The file that names its host key."""
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that it lets in."""
        return self.folder / "client"

    def url(self, bare: Path) -> str:
        """The address of a repository."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{bare}"


def make_key(file: Path) -> str:
    """A new key without a passphrase; its public half."""
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)]
    subprocess.run(made, check=True)
    return " ".join(Path(f"{file}.pub").read_text().split()[:2])


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """An sshd for every connection, with its own keys; whoever runs the tests may log in."""
    sshd, found = program_or_skip("sshd"), Door(tmp_path / "ssh")
    found.folder.mkdir()
    host = make_key(found.folder / "host")
    (found.folder / "authorized").write_text(make_key(found.key) + "\n")
    settings = found.folder / "sshd_config"
    settings.write_text(
        f"HostKey {found.folder}/host\nAuthorizedKeysFile {found.folder}/authorized\n"
        "StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            command = [str(sshd), "-i", "-e", "-f", str(settings)]
            ends = self.request.fileno()
            subprocess.run(command, stdin=ends, stdout=ends, stderr=subprocess.DEVNULL, check=False)

    made = os.geteuid() == 0 and not PRIVILEGES.exists()
    if made:
        PRIVILEGES.mkdir(mode=0o755)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        found.port = server.server_address[1]
        found.known_hosts.write_text(f"[127.0.0.1]:{found.port} {host}\n")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        server.shutdown()
    if made:
        PRIVILEGES.rmdir()


def open_all(door: Door, forge: Standin, run_json: Path, **git: object) -> Result:
    """`rightsize pr --open` over ssh, with the API over HTTP."""
    file = door.folder / "settings.yaml"
    access = {"ssh_key": str(door.key), "known_hosts": str(door.known_hosts), **git}
    api = {"kind": "github", "url": forge.api("github"), "repository": REPOSITORY}
    limits = {"most_open": 2, "dashboard": False, "publish": True}
    file.write_text(json.dumps({"git": access, "forge": api | limits}))
    given = ["--from", str(run_json), "--repo", door.url(forge.bare), "--config", str(file)]
    return CliRunner().invoke(main, ["pr", "-q", *given, "--open"])


def test_a_deploy_key_clones_and_pushes(
    door: Door, served: Standin, run_json: Path, git: Git
) -> None:
    """From an address to open pull requests and published results, with two files alone."""
    with serve(served) as forge:
        done = open_all(door, forge, run_json)
        assert done.exit_code == 0, done.output
        assert len(forge.pulls) == 2
        assert any(head.startswith("rightsize-runs/") for head in forge.heads())
        again = open_all(door, forge, run_json)
        assert again.exit_code == 0 and again.output.count("keep ") == 2, again.output


def test_another_host_key_is_one_sentence(door: Door, served: Standin, run_json: Path) -> None:
    """Whoever answers in the forge's place, and a host that nobody has named, get nothing."""
    other = make_key(door.folder / "other")
    with serve(served) as forge:
        for known in (f"[127.0.0.1]:{door.port} {other}\n", ""):
            door.known_hosts.write_text(known)
            done = open_all(door, forge, run_json)
            assert done.exit_code == 1, done.output
            assert "put that into git.known_hosts" in done.output and done.output.count("\n") == 1
        assert list(forge.heads()) == ["main"]


def test_a_refused_key_is_one_sentence(door: Door, served: Standin, run_json: Path) -> None:
    """One that the forge does not know, one that anybody may read, and one that is no key."""
    make_key(door.folder / "stranger")
    readable = door.folder / "readable"
    readable.write_bytes(door.key.read_bytes())
    readable.chmod(0o644)
    spoilt = door.folder / "spoilt"
    spoilt.write_text("no key at all\n")
    spoilt.chmod(0o600)
    with serve(served) as forge:
        for key, said in (
            ("stranger", "the key is refused; name one in git.ssh_key"),
            ("readable", "readable by its owner alone"),
            ("spoilt", "the private key cannot be read"),
        ):
            done = open_all(door, forge, run_json, ssh_key=str(door.folder / key))
            assert done.exit_code == 1 and said in done.output, done.output
            assert done.output.count("\n") == 1
