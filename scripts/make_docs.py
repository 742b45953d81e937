"""Make the parts of docs/ that follow the code: make_docs.py [--check].

The picture and the list of floors, the reference of settings, commands and decisions, and the
glossary. With ``--check`` nothing is written, and what is not current is named.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import click

from analyzer.cli import main as command_line
from analyzer.config.shown import descriptions, flatten, spelled
from analyzer.config.structure import SECTIONS, Config
from analyzer.policy import Rule
from analyzer.recommend.codes import CODES
from analyzer.schema import schemas
from analyzer.writers.glossary import GLOSSARY

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.scenarios.catalogue import SCENARIOS
from tests.scenarios.world import Scenario

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "analyzer"
GENERATED = "<!-- made by `make docs`: change the code, not this page -->"


def pages() -> dict[str, str]:
    """Every generated file by its path, as it should be."""
    plan = tomllib.loads((ROOT / "docs" / "floors.toml").read_text("utf-8"))
    architecture = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    return {
        "docs/architecture.svg": picture(plan),
        "docs/architecture.md": between(architecture, "parts", parts(plan)),
        "docs/reference/settings.md": settings(),
        "docs/reference/commands.md": commands(),
        "docs/glossary.md": glossary(),
        "docs/reference/decisions.md": decisions(),
        **{
            f"docs/schema/{name}.json": json.dumps(schema, indent=1) + "\n"
            for name, schema in schemas().items()
        },
    }


def between(page: str, name: str, content: str) -> str:
    """`page` with what stands between its marks ``name`` replaced by `content`."""
    marks = f"<!-- {name}: made by `make docs` -->", f"<!-- {name}: end -->"
    before, first, rest = page.partition(marks[0])
    _, last, after = rest.partition(marks[1])
    if not first or not last:
        sys.exit(f"docs/architecture.md lacks the marks {marks[0]} and {marks[1]}")
    return f"{before}{marks[0]}\n\n{content}\n{marks[1]}{after}"


# The picture: one band per floor, the top floor first, one box per part.

_WIDTH, _LEFT, _BOX, _GAP, _ROW = 1100, 24, 34, 10, 44
_STYLE = """
text { font: 15px "DejaVu Sans", sans-serif; fill: #1a1f2b; }
.holds { font-size: 13px; fill: #5a6372; }
.floor { fill: #f3f4f7; }
.part { fill: #ffffff; stroke: #1f6feb; }
.room { fill: #eaf2ff; stroke: #78a9f3; }
.arrow { stroke: #00735a; stroke-width: 2; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e8edf4; } .holds { fill: #98a3b3; } .floor { fill: #161b23; }
  .part { fill: #0d1117; stroke: #58a6ff; } .room { fill: #12233d; stroke: #3d77bb; }
  .arrow { stroke: #2fd3a2; }
}
"""


def picture(plan: Mapping[str, Any]) -> str:
    """The floors as an SVG, the ground at its foot."""
    shapes, y = [], 40.0
    for floor in reversed(plan["floor"]):
        band, height = _floor(floor, plan["rooms"], y)
        shapes += band
        y += height + _GAP
    arrow = f'<path class="arrow" d="M{_WIDTH - 14} 44V{y - 16}m-6 -8l6 8l6 -8"/>'
    words = "Imports go down, and to the left on a floor"
    head = f'<text class="holds" x="{_LEFT}" y="24">{words}</text>'
    title = "<title>The floors of the code, from the command line down to the ground</title>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y:.0f}" role="img">'
        f"{title}<style>{_STYLE}</style>\n{head}\n" + "\n".join([*shapes, arrow]) + "\n</svg>\n"
    )


def _floor(floor: Mapping[str, Any], rooms: Mapping[str, Any], y: float) -> tuple[list[str], float]:
    boxes, x, row = [], float(_LEFT), 0
    for name in floor["parts"]:
        inside = list(rooms) if name == "gitops" else []
        width = 9.2 * len(name) + 26 + sum(9.2 * len(room) + 34 for room in inside)
        if x + width > _WIDTH - 50:
            x, row = float(_LEFT), row + 1
        boxes += _part(name, inside, x, y + 30 + row * _ROW, width)
        x += width + _GAP
    height = 30 + (row + 1) * _ROW
    band = [
        f'<rect class="floor" x="12" y="{y:.0f}" width="{_WIDTH - 44}" height="{height}" rx="6"/>',
        f'<text class="holds" x="{_LEFT}" y="{y + 20:.0f}">{escape(floor["holds"])}</text>',
    ]
    return [*band, *boxes], height


def _part(name: str, rooms: Sequence[str], x: float, y: float, width: float) -> list[str]:
    shapes = [
        _box("part", x, y, width, _BOX),
        f'<text x="{x + 12:.0f}" y="{y + 22:.0f}">{name}</text>',
    ]
    x += 9.2 * len(name) + 24
    for room in rooms:
        wide = 9.2 * len(room) + 22
        shapes.append(_box("room", x, y + 5, wide, _BOX - 10))
        shapes.append(f'<text x="{x + 10:.0f}" y="{y + 22:.0f}">{room}</text>')
        x += wide + 12
    return shapes


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height}"'
    return f'<rect class="{kind}" {place} rx="4"/>'


def parts(plan: Mapping[str, Any]) -> str:
    """What each floor and each part holds, from the floors and the first lines of the code."""
    lines = []
    for floor in reversed(plan["floor"]):
        lines.append(f"**{floor['holds']}.**\n")
        for name in floor["parts"]:
            lines.append(f"- {_purpose(PACKAGE / name, f'analyzer/{name}')}")
            if name == "gitops":
                lines += [
                    f"  - {_purpose(PACKAGE / name / room, f'gitops/{room}')}"
                    for room in plan["rooms"]
                ]
        lines.append("")
    return "\n".join(lines)


def _purpose(place: Path, name: str) -> str:
    """The first paragraph of a part's docstring."""
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = " ".join(text.partition("\n\n")[0].split()).replace("``", "`")
    return f"`{name}`: {first}"


def settings() -> str:
    """Every setting with its type, its default and what it means."""
    shown = flatten(Config())
    sections = [("", Config), *SECTIONS.items()]
    body = []
    for section, kind in sections:
        rows = list(_settings_of(kind, section, shown))
        title = f"`{section}`" if section else "Top level"
        about = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
        body.append(f"## {title}\n\n{about}\n\n{_table(_SETTING_HEAD, rows)}")
    rules = [
        [f"`{n}`", _kind(t), "", _cell(descriptions(Rule).get(n, ""))] for n, t in _hints(Rule)
    ]
    about = " ".join((Rule.__doc__ or "").split())
    body.append(f"## `rules`\n\n{about}\n\n{_table(_SETTING_HEAD, rules)}")
    return (
        f"# Settings\n\n{GENERATED}\n\n"
        "Settings come from a file (`rightsize.yaml`, or `--config FILE`), then from variables,\n"
        "then from flags; a later one wins. `policy.cpu_floor` is a key `cpu_floor` below\n"
        "`policy` in the file, and the variable `RIGHTSIZE_POLICY__CPU_FLOOR`.\n"
        "`rightsize config` shows what holds and where it comes from, `rightsize config --schema`\n"
        "the JSON schema of the file.\n\n" + "\n\n".join(body) + "\n"
    )


_SETTING_HEAD = ("Setting", "Takes", "Default", "What it means")


def _hints(kind: type) -> list[tuple[str, Any]]:
    return list(get_type_hints(kind).items())


def _settings_of(kind: type, section: str, shown: Mapping[str, Any]) -> Iterator[list[str]]:
    known = descriptions(kind)
    for name, hint in _hints(kind):
        if name in SECTIONS or name == "rules":
            continue
        dotted = f"{section}.{name}" if section else name
        default = spelled(shown.get(dotted))
        text = f"`{default}`" if default not in ("", "{}", "[]") else ""
        yield [f"`{name}`", _kind(hint), _cell(text), _cell(known.get(name, ""))]


_KINDS = {
    "str": "text", "Path": "a file or folder", "bool": "true or false", "int": "a whole number",
    "float": "a number", "timedelta": "a duration, like `30s`", "Cpu": "CPU, like `250m`",
    "Memory": "memory, like `64Mi`", "NoneType": "",
}  # fmt: skip


def _kind(hint: Any) -> str:
    """A type in words."""
    origin, inside = get_origin(hint), get_args(hint)
    if str(origin) == "typing.Literal":
        return " or ".join(f"`{value}`" for value in inside)
    if origin is tuple:
        return f"a list of {_kind(inside[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "names with values"
    if inside:
        return " or ".join(filter(None, map(_kind, inside)))
    return _KINDS.get(getattr(hint, "__name__", str(hint)), getattr(hint, "__name__", str(hint)))


def commands() -> str:
    """Every command with its arguments and options."""
    root = click.Context(command_line, info_name="rightsize")
    found = sorted(command_line.commands.items())
    body = [_command(command, name, root) for name, command in found]
    index = " · ".join(f"[{name}](#rightsize-{name})" for name, _ in found)
    return f"# Commands\n\n{GENERATED}\n\n{index}\n\n" + "\n\n".join(body) + "\n"


def _command(command: click.Command, name: str, above: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=above)
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    text = inspect.cleandoc(command.help or "").replace("\b\n", "").replace("``", "`")
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    records = filter(None, (option.get_help_record(context) for option in options))
    rows = [[_cell(f"`{names}`"), _cell(words)] for names, words in records]
    title = context.command_path
    table = f"\n\n{_table(('Option', 'What it does'), rows)}" if rows else ""
    return f"## {title}\n\n```\n{usage}\n```\n\n{_prose(text)}{table}"


def _prose(text: str) -> str:
    """Help as paragraphs; indented lines stay lines."""
    blocks = [part for part in text.split("\n\n") if part.strip()]
    return "\n\n".join(f"```\n{b}\n```" if b.startswith("  ") else b for b in blocks)


def glossary() -> str:
    """The words that readers of summaries, charts and pages meet."""
    items = [f"**{term}**: {meaning}" for term, meaning in GLOSSARY.items()]
    return f"# Words\n\n{GENERATED}\n\n" + "\n\n".join(items) + "\n"


def decisions() -> str:
    """The codes of decisions, and the scenarios that show and test them."""
    codes = [[f"`{code}`", _cell(meaning)] for code, meaning in sorted(CODES.items())]
    body = []
    for topic, scenarios in SCENARIOS.items():
        rows = [[_cell(text) for text in _scenario(one)] for one in scenarios]
        body.append(f"## {topic}\n\n{_table(_SCENARIO_HEAD, rows)}")
    count = sum(len(scenarios) for scenarios in SCENARIOS.values())
    return (
        f"# Decisions\n\n{GENERATED}\n\n"
        "What is decided in which case, and why. Every row below is a test "
        f"(`tests/scenarios`): {count} small worlds\nof a few containers over three weeks, decided "
        "by one run of what ships, with the default policy\nunless a row says otherwise. Behind an "
        "amount stands the code of the step that decides.\n\n"
        "## Codes\n\nEvery step that may have the last word on an amount has a code. It stands in "
        "the trail of the amount\n(`rightsize explain`, `trail` in `run.json`) and does not change."
        f"\n\n{_table(('Code', 'What it says'), codes)}\n\n" + "\n\n".join(body) + "\n"
    )


_SCENARIO_HEAD = ("Scenario", "Given", "Policy", "Decision", "Why")


def _scenario(one: Scenario) -> Sequence[str]:
    policy = [f"{name}: {value}" for name, value in one.policy.items()]
    policy += [f"protect: {name}" for name in one.protect]
    return one.name, one.given, ", ".join(policy), "; ".join(_decided(one)), one.why


def _decided(one: Scenario) -> Iterator[str]:
    for target, expected in one.expect.items():
        verdict, _, code = (
            expected.partition(": ")
            if target not in ("skipped", "note")
            else (
                f"“{expected}”",
                "",
                "",
            )
        )
        yield f"{target.replace('_', ' ')} {verdict}" + (f" (`{code}`)" if code else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def stale() -> list[str]:
    """Which generated files are not as they should be."""
    return [
        name
        for name, text in pages().items()
        if not (ROOT / name).exists() or (ROOT / name).read_text("utf-8") != text
    ]


def write() -> None:
    """Bring every generated file up to date."""
    for name, text in pages().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if "--check" not in sys.argv:
        write()
    elif stale():
        sys.exit(f"not current, run `make docs`: {', '.join(stale())}")
