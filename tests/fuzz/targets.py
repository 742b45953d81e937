"""What strangers' bytes reach first, each as a function that may only refuse them in its own words.

`scripts/fuzz` drives each by coverage for as long as one likes; the tests give each a few hundred
damaged inputs.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from analyzer.config import load_config
from analyzer.errors import AnalyzerError
from analyzer.escape import html, json_text, markdown, one_line, printable
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.edit import set_values
from analyzer.gitops.text.tree import parse, plain
from analyzer.quantity import Cpu, Memory
from analyzer.report import load_report
from analyzer.sources.prometheus.answer import (
    read_clock,
    read_label_sets,
    read_mapping,
    read_names,
    read_series,
    read_vector,
)
from analyzer.sources.prometheus.decode import MatrixDecoder
from analyzer.sources.recording.importing import import_usage
from analyzer.sources.recording.recording import load_recording
from analyzer.workload import readings

Target = Callable[[bytes], None]


def answers(data: bytes) -> None:
    """Every shape of an answer of a server; whole, and in two pieces as it arrives."""
    for read in (read_vector, read_series, read_label_sets, read_names, read_mapping, read_clock):
        with contextlib.suppress(AnalyzerError):
            read(data)
    with contextlib.suppress(AnalyzerError):
        decoder = MatrixDecoder()
        half = len(data) // 2
        decoder.feed(data[:half])
        decoder.feed(data[half:])
        decoder.finish()


def quantities(data: bytes) -> None:
    """Amounts: a text that is taken is written so that it reads back as the same amount."""
    text = data.decode("utf-8", "replace")
    for kind in (Cpu, Memory):
        with contextlib.suppress(ValueError, AnalyzerError):
            amount = kind.parse(text)
            assert kind.parse(str(amount)) == amount


def references(data: bytes) -> None:
    """References of the command line."""
    with contextlib.suppress(AnalyzerError):
        readings(data.decode("utf-8", "replace"))


def settings(data: bytes) -> None:
    """A settings file."""
    _refused_or_read("rightsize.yaml", data, load_config)


def run_json(data: bytes) -> None:
    """An earlier run."""
    _refused_or_read("run.json", data, load_report)


def recording(data: bytes) -> None:
    """A recording: the first half is its description, the second its usage."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "rec"
        folder.mkdir()
        head, _, tail = data.partition(b"\n---\n")
        (folder / "meta.json").write_bytes(head)
        (folder / "usage.parquet").write_bytes(tail)
        with contextlib.suppress(AnalyzerError):
            load_recording(folder)


def table(data: bytes) -> None:
    """A table that is imported."""
    _refused_or_read("usage.csv", data, import_usage)


def _refused_or_read(name: str, data: bytes, read: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(data)
        with contextlib.suppress(AnalyzerError):
            read(file)


def manifests(data: bytes) -> None:
    """A file of a repository: an edit says what was wanted, and one that says it is no edit."""
    text = data.decode("utf-8", "surrogateescape")
    address = Address(0, ("spec", "values", "resources", "requests", "memory"))
    with contextlib.suppress(AnalyzerError):
        for document in parse(text):
            if document.root is not None:
                plain(document.root)
        once = set_values(text, [(address, Memory.parse("64Mi"))])
        assert set_values(once, [(address, Memory.parse("64Mi"))]) == once


def escapes(data: bytes) -> None:
    """Whatever a name holds, what is shown of it shows and is one line."""
    text = data.decode("utf-8", "replace")
    for escape in (one_line, markdown, html):
        assert "\n" not in escape(text) and "\x1b" not in escape(text)
    assert "\x1b" not in printable(text)
    assert "\x1b" not in json_text(f'"{one_line(text)}"')


_VECTOR = b'{"status":"success","data":{"resultType":"vector","result":[%s]}}'
_MATRIX = b'{"status":"success","data":{"resultType":"matrix","result":[%s]}}'
_SAMPLE = b'{"metric":{"__name__":"up","pod":"a-1"},"value":[1795651200.5,"0.25"]}'
_SERIES = b'{"metric":{"pod":"a\\"1"},"values":[[1795651200,"1e3"],[1795651500,"+Inf"]]}'
_META = (
    b'{"format": 6, "cluster": "lab", "start": "2026-11-02T00:00:00Z", '
    b'"end": "2026-11-03T00:00:00Z", "step_seconds": 300, "source": "x"}'
)

TARGETS: dict[str, tuple[Target, Sequence[bytes]]] = {
    "answers": (
        answers,
        [_VECTOR % _SAMPLE, _MATRIX % _SERIES, b'{"status":"success","data":["a"]}'],
    ),
    "quantities": (quantities, [b"100m", b"1.5", b"1472Mi", b"1e3", b"128974848", b"0.1Gi"]),
    "references": (references, [b"media/sonarr", b"deploy/web", b"shop/Deployment/web/app"]),
    "settings": (
        settings,
        [b"source: recording:x\npolicy:\n  max_cpu: 4\nrules:\n  - match: a/b\n    keep: [cpu]\n"],
    ),
    "run_json": (run_json, [b'{"schema":"rightsize/v1","meta":{},"recommendations":[]}']),
    "recording": (recording, [_META + b"\n---\nPAR1"]),
    "table": (table, [b"timestamp,namespace,workload,container,cpu_cores\n2026-11-02,a,b,c,1\n"]),
    "manifests": (
        manifests,
        [
            b"spec:\n  values:\n    resources:\n      requests: {memory: 32Mi} # small\n",
            b"spec:\n  values:\n    a: &x 1\n    resources: {}\n---\nb: |\n  text\n",
        ],
    ),
    "escapes": (escapes, [b"a\x1b[2Jb", "a\u202eb@everyone".encode(), b"<b>[x](y)|`z`"]),
}
"""Every target with inputs to start from."""
