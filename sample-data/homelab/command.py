"""The command line of `generate.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

from homelab.recording import recording_files
from homelab.simulation import simulate
from homelab.truth import truth_file

HERE = Path(__file__).resolve().parent.parent


def generated_files() -> dict[str, bytes]:
    """Every generated file, by its path below the sample data."""
    runs = simulate()
    files = {f"recording/{name}": content for name, content in recording_files(runs).items()}
    return files | {"truth.csv": truth_file(runs)}


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; 1 where they differ")
    parser.parse_args(arguments)
    for name, content in generated_files().items():
        target = HERE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return 0
