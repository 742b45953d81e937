#!/usr/bin/env python3
"""What an installation takes on disk, package by package: of rightsize and all that it needs."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(name: str, found: dict[str, Distribution]) -> None:
    """Add the package and what it needs, without extras, to `found`."""
    key = canonicalize_name(name)
    if key in found:
        return
    try:
        found[key] = distribution(key)
    except PackageNotFoundError:
        return
    for text in found[key].requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name, found)


def size(package: Distribution) -> int:
    """Bytes of its files, without the bytecode that Python adds."""
    kept = [Path(str(file.locate())) for file in package.files or () if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in kept if path.is_file())


def main() -> None:
    """Print a row per package, the largest first, and the sum."""
    found: dict[str, Distribution] = {}
    needed("rightsize", found)
    sizes = {name: size(package) for name, package in found.items()}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        sys.stdout.write(f"| {name} | {sizes[name] / 2**20:.1f} |\n")
    sys.stdout.write(f"| all {len(sizes)} | {sum(sizes.values()) / 2**20:.0f} |\n")


if __name__ == "__main__":
    main()
