"""The floors of the code, and what each may touch: read from the source, never from imports."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "analyzer"

# From the ground up; docs/floors.toml says what the order means.
_PLAN = tomllib.loads((PACKAGE.parent / "docs" / "floors.toml").read_text("utf-8"))
FLOORS: tuple[tuple[str, ...], ...] = tuple(tuple(floor["parts"]) for floor in _PLAN["floor"])
ROOMS: dict[str, frozenset[str]] = {room: frozenset(face) for room, face in _PLAN["rooms"].items()}

# Below, and still no business of theirs: usage is read without knowing what is made of it.
FORBIDDEN = {"sources": {"models", "calibration"}}

# Who may touch the world. The wall clock enters at the command line alone, but for the exceptions.
MAY_READ_WALL_CLOCK = {"cli"}
MAY_MEASURE_TIME = {"sources", "forge", "engine", "pipeline", "cli"}
MAY_READ_ENVIRONMENT = {
    "sources",
    "gitops",
    "forge",
    "output",
    "config",
    "landing",
    "pipeline",
    "cli",
}
# `fleet` starts the run of each cluster.
MAY_REACH_OUT = {"sources", "gitops", "forge", "notify", "fleet", "cli"}
# `report` is here for `load_report`: run.json is its own form.
MAY_TOUCH_FILES = {
    "ledger", "plots", "sources", "gitops", "forge", "report", "output", "notify",
    "config", "pipeline", "cli", "control_group", "cores",
}  # fmt: skip

EXCEPTIONS = {
    ("forge/rest.py", "time.time"): "a limit is lifted at a date that the server names",
    ("forge/github_app.py", "time.time"): "a signature and a token carry their dates",
    ("sources/cache.py", "time.time"): "files left by killed runs are told by their age on disk",
    (
        "sources/prometheus/examine.py",
        "time.time",
    ): "to compare the server's clock with ours is its task",
    (
        "sources/prometheus/retry.py",
        "time.time",
    ): "a Retry-After header may name a date to wait for",
}

WALL_CLOCK = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.strftime"} | {
    f"{kind}.{method}"
    for kind in ("datetime", "date", "Timestamp")
    for method in ("now", "utcnow", "today")
}
TIMERS = {"time.monotonic", "time.perf_counter", "time.sleep"}
ENVIRONMENT = {"os.environ", "os.getenv"}
REACHING_MODULES = {
    "aiohttp", "http", "httpx", "prometheus_api_client", "requests", "socket", "subprocess",
    "urllib.request", "urllib3",
}  # fmt: skip
FILE_CALLS = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "mkdir", "unlink"}
UNSEEDED = {"default_rng", "RandomState"}

HEAVY = (
    "pandas.core", "sklearn", "matplotlib", "scipy", "pyarrow", "numpy", "yaml",
    "importlib.metadata", "email", "urllib3.util",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Violation:
    """One line of code that breaks a law, spelled as an editor can jump to it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def sources(package: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """Every file of the package but its root, with the part it belongs to."""
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if part != "__init__":
            yield part, path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_modules(path: Path, package: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and absolute name of every import, relative ones resolved."""
    own_package = [package.name, *path.relative_to(package).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = own_package[: len(own_package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == package.name:
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def place_of(part: str) -> tuple[int, int] | None:
    """The floor of a part and its position there; None when it has no place."""
    for floor, parts in enumerate(FLOORS):
        if part in parts:
            return floor, parts.index(part)
    return None


def may_import(importer: str, imported: str) -> bool:
    """Whether one part may import another: itself, from below, or leftward on its own floor."""
    if importer == imported:
        return True
    here, there = place_of(importer), place_of(imported)
    if here is None or there is None or imported in FORBIDDEN.get(importer, ()):
        return False
    return there < here


def floor_violations(package: Path) -> list[Violation]:
    """Every file without a place, and every import that goes up or sideways."""
    found = []
    for part, path, tree in sources(package):
        where = str(path.relative_to(package.parent))
        if place_of(part) is None:
            found.append(Violation(f"{where}:1", f"{part} is on no floor; give it a place"))
            continue
        for line, module in imported_modules(path, package, tree):
            root, _, rest = module.partition(".")
            target = rest.partition(".")[0]
            if root != package.name or target == "__version__":
                continue
            if not may_import(part, target):
                found.append(Violation(f"{where}:{line}", f"{part} must not import {module}"))
    return sorted(found)


def room_violations(package: Path) -> list[Violation]:
    """Every import of `gitops` that goes up between rooms, or behind the face of a room."""
    order = list(ROOMS)
    found = []
    for part, path, tree in sources(package):
        inside = path.relative_to(package).parts
        here = inside[1] if part == "gitops" and len(inside) > 2 else None
        for line, module in imported_modules(path, package, tree):
            names = module.split(".")
            if names[:2] != [package.name, "gitops"] or len(names) < 3 or names[2] == here:
                continue
            up = here is not None and order.index(names[2]) > order.index(here)
            hidden = len(names) > 3 and names[3] not in ROOMS[names[2]]
            if up or hidden:
                why = "is above" if up else "is no part of what its room shows"
                where = str(path.relative_to(package.parent))
                found.append(Violation(f"{where}:{line}", f"{module} {why}"))
    return sorted(found)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain; the part after a call or an index alone."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        names.append(node.id)
    return ".".join(reversed(names))


def touches(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, kind and name of everything in a file that touches the world."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node) in ENVIRONMENT:
            yield node.lineno, "environment", dotted(node)
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            last = name.rpartition(".")[2]
            if ".".join(name.split(".")[-2:]) in WALL_CLOCK:
                yield node.lineno, "wall clock", name
            elif name in TIMERS:
                yield node.lineno, "timer", name
            elif last in FILE_CALLS:
                yield node.lineno, "files", name
            elif last in UNSEEDED and not (node.args or node.keywords):
                yield node.lineno, "unseeded randomness", name


ALLOWED = {
    "wall clock": MAY_READ_WALL_CLOCK,
    "timer": MAY_MEASURE_TIME,
    "environment": MAY_READ_ENVIRONMENT,
    "files": MAY_TOUCH_FILES,
    "network or programs": MAY_REACH_OUT,
    "unseeded randomness": frozenset[str](),
}


def world_violations(package: Path) -> list[Violation]:
    """Every use of clock, environment, files, network or chance where it may not be."""
    found = []
    for part, path, tree in sources(package):
        where = str(path.relative_to(package.parent))
        for line, kind, name in touches(tree):
            excused = (path.relative_to(package).as_posix(), name) in EXCEPTIONS
            if part not in ALLOWED[kind] and not excused:
                found.append(Violation(f"{where}:{line}", f"{part} must not use {name} ({kind})"))
        for line, module in imported_modules(path, package, tree):
            reaching = any(module == m or module.startswith(f"{m}.") for m in REACHING_MODULES)
            if reaching and part not in ALLOWED["network or programs"]:
                found.append(Violation(f"{where}:{line}", f"{part} must not import {module}"))
    return sorted(found)


def report(violations: list[Violation]) -> str:
    """The violations as lines, empty when there are none."""
    return "\n".join(map(str, violations))


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """A made-up package named `analyzer` below `root`."""
    package = root / "analyzer"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


def test_every_file_imports_only_from_the_floors_below() -> None:
    """Data flows down; nothing reaches back up, and nothing stands outside the floors."""
    assert report(floor_violations(PACKAGE)) == ""


def test_the_rooms_of_gitops_stand_on_each_other() -> None:
    """Text knows no objects, reach no builds, and what a room does inside is its own affair."""
    assert report(room_violations(PACKAGE)) == ""
    there = {path.name for path in (PACKAGE / "gitops").iterdir() if path.is_dir()}
    assert there - {"__pycache__"} == set(ROOMS)
    for room, face in ROOMS.items():
        shown = {path.stem for path in (PACKAGE / "gitops" / room).glob("*.py")}
        assert face <= shown, f"{room} shows what is not there"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (
            "gitops/text/edit.py",
            "from analyzer.gitops.reach.route import Route",
            "analyzer.gitops.reach.route is above",
        ),
        (
            "gitops/land/proof.py",
            "from analyzer.gitops.reach.walk import Walker",
            "analyzer.gitops.reach.walk is no part of what its room shows",
        ),
    ],
)
def test_an_import_up_between_rooms_or_behind_a_face_is_found(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    """The law of the rooms can be broken, and then says where."""
    assert [v.what for v in room_violations(write_tree(tmp_path, {name: text}))] == [complaint]


def test_the_world_enters_where_it_is_said_to() -> None:
    """Clock, environment, files, network and chance stay out of everything that decides."""
    assert report(world_violations(PACKAGE)) == ""


def test_every_part_of_the_list_exists_and_is_explained() -> None:
    """The list names what there is and nothing else, and each part says what it is for."""
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    named = {part for parts in FLOORS for part in parts}
    assert named == there - {"__init__", "__pycache__"}
    for part, path, tree in sources(PACKAGE):
        if path in (PACKAGE / f"{part}.py", PACKAGE / part / "__init__.py"):
            assert ast.get_docstring(tree), part


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("errors.py", "import analyzer.usage", "errors must not import analyzer.usage"),
        ("usage.py", "from analyzer.report import Report", "usage must not import analyzer.report"),
        ("usage.py", "from analyzer import Report", "usage must not import analyzer.Report"),
        ("models/vpa.py", "from ..cli import main", "models must not import analyzer.cli"),
        ("models/vpa.py", "from .. import output", "models must not import analyzer.output"),
        ("sources/cache.py", "import analyzer.models", "sources must not import analyzer.models"),
        ("plots.py", "import analyzer.writers", "plots must not import analyzer.writers"),
        ("usage.py", "def f():\n    import analyzer.cli", "usage must not import analyzer.cli"),
        ("misc.py", "", "misc is on no floor; give it a place"),
    ],
)
def test_an_import_up_or_sideways_is_found(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    """The law of the floors can be broken, and then says where."""
    package = write_tree(tmp_path, {name: text})
    assert [v.what for v in floor_violations(package)] == [complaint]
    assert floor_violations(package)[0].where.startswith(f"analyzer/{name}:")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("usage.py", "from analyzer.errors import RecordingError"),
        ("history.py", "from .quantity import Cpu"),
        ("models/vpa.py", "from .demand import Demand\nfrom analyzer.history import History"),
        ("writers/summary.py", "from analyzer.report import Report"),
        ("cli.py", "from analyzer import __version__\nimport analyzer.pipeline\nimport json"),
        ("recommend.py", "import analyzer_of_someone_else"),
    ],
)
def test_imports_from_below_and_from_the_left_are_fine(
    tmp_path: Path, name: str, text: str
) -> None:
    """The law of the floors forbids nothing that it need not."""
    assert floor_violations(write_tree(tmp_path, {name: text})) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("history.py", "from datetime import datetime\nx = datetime.now()"),
        ("pipeline.py", "import datetime\nx = datetime.datetime.now(datetime.UTC)"),
        ("recommend.py", "import pandas as pd\nx = pd.Timestamp.utcnow()"),
        ("models/trend.py", "import time\nx = time.time()"),
        ("models/trend.py", "import os\nx = os.environ['HOME']"),
        ("models/trend.py", "import os\nx = os.getenv('HOME')"),
        ("models/pooled.py", "import numpy as np\nrng = np.random.default_rng()"),
        ("policy.py", "import subprocess"),
        ("writers/html.py", "from urllib.request import urlopen"),
        ("writers/html.py", "from pathlib import Path\nPath('x').write_text('')"),
        ("recommend.py", "x = open('run.json')"),
    ],
)
def test_a_touch_of_the_world_is_found(tmp_path: Path, name: str, text: str) -> None:
    """The law of the world can be broken, and then names the file once."""
    violations = world_violations(write_tree(tmp_path, {name: text}))
    assert [v.where.partition(":")[0] for v in violations] == [f"analyzer/{name}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cli.py", "from datetime import UTC, datetime\nx = datetime.now(UTC)"),
        ("sources/prometheus/source.py", "import requests, time\nx = time.monotonic()"),
        ("output.py", "from pathlib import Path\nPath('x').write_text('')"),
        ("models/pooled.py", "import numpy as np\nrng = np.random.default_rng(7)"),
        ("usage.py", "def today(): ...\nnow = 1\nx = server.now()"),
    ],
)
def test_touching_the_world_in_its_place_is_fine(tmp_path: Path, name: str, text: str) -> None:
    """The law of the world forbids nothing that it need not."""
    assert world_violations(write_tree(tmp_path, {name: text})) == []


@pytest.mark.parametrize(
    "statement",
    [
        "import analyzer",
        "from analyzer.cli import main; main(['--version'], standalone_mode=False)",
        "from analyzer.cli import main; main(['--help'], standalone_mode=False)",
    ],
)
def test_the_command_line_answers_without_the_heavy_libraries(statement: str) -> None:
    """`--version`, `--help` and a bare import load no pandas, scikit-learn or matplotlib."""
    code = f"{statement}\nimport sys; print('LOADED', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED"
