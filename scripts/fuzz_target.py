#!/usr/bin/env python3
"""Fuzz one target: scripts/fuzz_target.py TARGET CORPUS [flags of libFuzzer]; see scripts/fuzz."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["analyzer"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Put the seeds into the corpus, then fuzz."""
    name, corpus, *flags = sys.argv[1:]
    target, seeds = TARGETS[name]
    for number, seed in enumerate(seeds):
        (Path(corpus) / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *flags], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
