"""Programs that render strangers' charts: what they may take, and where they get to."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from analyzer.gitops.render import program
from analyzer.gitops.render.program import RenderError, as_json, run
from analyzer.gitops.text.tree import parse
from tests.gitops.conftest import Plant

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of others need prlimit")


@LINUX
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import time; time.sleep(.5); x = bytearray(6 * 2**30)", "failed: .*MemoryError"),
        ("import time; time.sleep(.5); print('x' * 2**21)", "failed|signal"),
        ("import time; time.sleep(60)", "did not finish in 2 s"),
    ],
)
def test_a_program_is_held_to_its_limits(
    code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory, output and time end with one sentence, and nothing runs on."""
    monkeypatch.setattr(program, "_OUTPUT", 2**20)
    monkeypatch.setattr(program, "_TIMEOUT", 2.0)
    with pytest.raises(RenderError, match=told):
        run([sys.executable, "-c", code], tmp_path)


_HELD = f"""
import resource, sys
from pathlib import Path
from analyzer.gitops.render.program import RenderError, run
resource.setrlimit(resource.RLIMIT_AS, ({2**30},) * 2)
print(run([sys.executable, "-c", "print('done')"], Path(sys.argv[1])))
run([sys.executable, "-c", "bytearray({2 * 2**30})"], Path(sys.argv[1]))
"""


@LINUX
def test_a_tighter_limit_of_this_process_holds(tmp_path: Path) -> None:
    """It is never raised, which the system may refuse, and is named where a program fails."""
    words = [sys.executable, "-c", _HELD, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n\n"
    assert "failed with 1024 MiB of memory addresses" in done.stderr


def test_no_build_asks_the_network(
    kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked for by HTTP ends at a proxy that answers nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        monkeypatch.setattr(program, "_NOWHERE", f"http://127.0.0.1:{server.getsockname()[1]}")
        asked: list[bytes] = []

        def refuse() -> None:
            connection, _ = server.accept()
            asked.append(connection.recv(100))
            connection.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        text = "resources: ['https://example.invalid/a.yaml']\n"
        (tmp_path / "kustomization.yaml").write_text(text)
        with pytest.raises(RenderError):
            run([str(kubectl), "kustomize", str(tmp_path)], tmp_path)
        thread.join()
    assert asked[0].startswith(b"CONNECT example.invalid:443")


def test_any_text_gets_through_to_the_programs(kubectl: Path, tmp_path: Path) -> None:
    """Values hold emoji and stranger things, which JSON may spell in a way that YAML has not."""
    texts = ["\U0001f680 é", '\x7f \x85 \t "', "\ufeff \uffff"]
    made = {"configMapGenerator": [{"name": "texts", "literals": [f"a={t}" for t in texts[:1]]}]}
    (tmp_path / "kustomization.yaml").write_text(as_json(made), "utf-8")
    (built,) = parse(run([str(kubectl), "kustomize", str(tmp_path)], tmp_path))
    assert built.root.text("data", "a") == texts[0]
    assert json.loads(as_json(texts)) == texts
    assert not re.search("[\x7f-\x9f\uffff]", as_json(texts))


def test_no_build_clones(kubectl: Path, committed: Plant, tmp_path: Path) -> None:
    """Not even a repository on this machine: git is allowed no way to one."""
    other = committed({"kustomization.yaml": "resources: []\n"})
    folder = tmp_path / "build"
    folder.mkdir()
    text = f"resources: ['git::file://{other}//.?ref=main']\n"
    (folder / "kustomization.yaml").write_text(text)
    with pytest.raises(RenderError, match=r"transport 'file' not allowed"):
        run([str(kubectl), "kustomize", str(folder)], tmp_path)
