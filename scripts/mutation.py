#!/usr/bin/env python3
"""Does a test notice when a decision changes? Changes the deciding modules, one place at a time.

    scripts/mutation.py [--per-module 6] [--seed 1] [MODULE ...]

Each mutant turns one comparison, sum, choice or number of a module around, in a copy of the
package, and runs the tests of that module until the first failure. Survivors are printed with
their line: each is a law that no test holds, or a line without effect. Run by hand: an hour or so
for all of it.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MODELS, _RECOMMEND = ["tests/models", "tests/test_calibration.py"], ["tests/recommend"]
TESTS = {
    "analyzer/cutoff.py": ["tests/test_cutoff.py", "tests/models/test_censoring.py", *_RECOMMEND],
    "analyzer/quantity.py": ["tests/test_quantity.py"],
    "analyzer/policy.py": ["tests/test_policy.py", *_RECOMMEND],
    "analyzer/calibration.py": ["tests/test_calibration.py"],
    "analyzer/evidence/hours.py": ["tests/evidence"],
    "analyzer/evidence/observe.py": ["tests/evidence", *_RECOMMEND],
    "analyzer/evidence/pods.py": ["tests/evidence"],
    "analyzer/models/censoring.py": _MODELS,
    "analyzer/models/pattern.py": _MODELS,
    "analyzer/models/percentile.py": _MODELS,
    "analyzer/models/pooled.py": _MODELS,
    "analyzer/models/trend.py": _MODELS,
    "analyzer/recommend/bounds.py": _RECOMMEND,
    "analyzer/recommend/cpu_limit.py": _RECOMMEND,
    "analyzer/recommend/decide.py": _RECOMMEND,
    "analyzer/recommend/memory_limit.py": _RECOMMEND,
    "analyzer/recommend/notes.py": _RECOMMEND,
    "analyzer/recommend/pods.py": _RECOMMEND,
    "analyzer/recommend/qos.py": _RECOMMEND,
    "analyzer/recommend/request.py": _RECOMMEND,
    "analyzer/recommend/restraint.py": _RECOMMEND,
    "analyzer/gitops/text/edit.py": ["tests/gitops/text"],
    "analyzer/gitops/text/verify.py": ["tests/gitops/text"],
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changed(node: ast.AST) -> ast.AST | None:
    """The opposite of one node; None where there is no telling one."""
    other = copy.deepcopy(node)
    if isinstance(other, ast.Compare) and type(other.ops[0]) in _COMPARISONS:
        other.ops[0] = _COMPARISONS[type(other.ops[0])]()
    elif isinstance(other, ast.BoolOp):
        other.op = ast.Or() if isinstance(other.op, ast.And) else ast.And()
    elif isinstance(other, ast.BinOp) and type(other.op) in _OPERATORS and not _is_text(other):
        other.op = _OPERATORS[type(other.op)]()
    elif isinstance(other, ast.UnaryOp) and isinstance(other.op, ast.Not):
        return other.operand
    elif isinstance(other, ast.Call) and isinstance(other.func, ast.Name):
        if other.func.id not in _CALLS:
            return None
        other.func.id = _CALLS[other.func.id]
    elif isinstance(other, ast.Constant) and isinstance(other.value, int | float):
        if isinstance(other.value, bool) or not other.value:
            return None
        other.value = other.value * 2
    else:
        return None
    return other


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(part, ast.JoinedStr | ast.List) for part in (node.left, node.right))


def mutants(text: str) -> Iterator[tuple[int, str, str]]:
    """Every mutant of a module: the line, what was changed into what, and the new text."""
    tree = ast.parse(text)
    for parent in ast.walk(tree):
        if isinstance(parent, ast.AnnAssign) and parent.value is None:
            continue
        for name, value in ast.iter_fields(parent):
            if name in ("annotation", "returns", "slice"):
                continue
            for place, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                other = changed(node) if isinstance(node, ast.expr) else None
                if other is None:
                    continue
                _put(parent, name, place, other)
                yield (
                    node.lineno,
                    f"{ast.unparse(node)}  ->  {ast.unparse(other)}",
                    ast.unparse(tree),
                )
                _put(parent, name, place, node)


def _put(parent: ast.AST, name: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[place] = node


def survives(copied: Path, module: str, text: str) -> bool:
    """Whether the tests of `module` pass with this text in its place."""
    path = copied / module
    original = path.read_text("utf-8")
    path.write_text(text, "utf-8")
    try:
        tests = [test for test in TESTS[module] if (copied / test).exists()]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=copied,
            env={**os.environ, "PYTHONPATH": str(copied), "CI": "", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
            timeout=1800,
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(original, "utf-8")
    return done.returncode == 0


def say(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print survivors and the score: the share of mutants that a test noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", default=[], metavar="MODULE")
    parser.add_argument("--per-module", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tried = killed = 0
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copied = Path(folder) / "checkout"
        ignored = shutil.ignore_patterns(".git", ".venv", ".tools", ".*_cache", "__pycache__")
        shutil.copytree(ROOT, copied, ignore=ignored)
        for module in options.modules or TESTS:
            text = (copied / module).read_text("utf-8")
            found = list(mutants(text))
            rng = random.Random(options.seed)  # noqa: S311  # nothing secret about it
            chosen = rng.sample(found, min(options.per_module, len(found)))
            for line, what, changed_text in sorted(chosen):
                tried += 1
                alive = survives(copied, module, changed_text)
                killed += not alive
                say(f"{'SURVIVED' if alive else 'noticed '} {module}:{line}: {what}")
    say(f"{killed} of {tried} noticed: {killed / max(tried, 1):.0%}")


if __name__ == "__main__":
    main()
