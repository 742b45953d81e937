"""Compare operators.csv with the schemas of the CRDs: refresh_operators.py CATALOGUE [TABLE].

CATALOGUE is a folder of JSON schemas, GROUP/KIND_VERSION.json, as public catalogues of CRDs have
them. The column `schema` is written anew: the versions in which the row's path takes requests and
limits or is a pod spec; ``open`` where the schema leaves that part open; empty where there is no
schema of the kind. A row that a schema speaks against ends the run with 1. The fields of the
catalogue that no row names are printed: whom they feed has to be looked up in the operator's own
manual or code.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "analyzer/gitops/reach/operators.csv"
Schema = dict[str, object]
CLAIMS = ("olume", "torage", "ephemeral", "pvc", "persistence")
"""Words of paths that claim disks, which take requests and limits as well."""


def main(arguments: list[str]) -> int:
    """Write the column anew; 1 where a row is wrong, 2 where the command is."""
    folder, table = ([*map(Path, arguments), TABLE, TABLE])[:2]
    if not 1 <= len(arguments) <= 2 or not folder.is_dir():
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = []
    for row in rows:
        found = {version: judged(schema, row["path"]) for version, schema in of(folder, row)}
        taken = sorted({version for version, verdict in found.items() if verdict == "taken"})
        row["schema"] = " ".join(taken) or ("open" if "open" in found.values() else "")
        if found and not row["schema"]:
            wrong.append(f"{row['group']} {row['kind']}: {row['path']}")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    sys.stdout.writelines(f"{each}\n" for each in missing(folder, rows))
    sys.stderr.writelines(f"no such field: {each}\n" for each in wrong)
    return 1 if wrong else 0


def of(catalogue: Path, row: dict[str, str]) -> Iterator[tuple[str, Schema]]:
    """Every version of the schema of a row's kind."""
    for file in sorted((catalogue / row["group"]).glob(f"{row['kind'].lower()}_*.json")):
        yield file.stem.rpartition("_")[2], json.loads(file.read_text("utf-8"))


def judged(schema: Schema, dots: str) -> str:
    """What a schema says of a path: taken, open, or absent."""
    for part in dots.split("."):
        below = properties(schema).get(part.removesuffix("[]"), schema.get("additionalProperties"))
        if not isinstance(below, dict):
            return "open" if is_open(schema) else "absent"
        schema = below
        if part.endswith("[]"):
            items = schema.get("items")
            schema = items if isinstance(items, dict) else {}
    if is_amounts(schema) or "containers" in properties(schema):
        return "taken"
    return "open" if is_open(schema) else "absent"


def properties(schema: Schema) -> Schema:
    """The fields of an object's schema; none for other schemas."""
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def is_open(schema: Schema) -> bool:
    """Whether the schema takes fields that it does not name."""
    return bool(schema.get("x-kubernetes-preserve-unknown-fields")) or not properties(schema)


def is_amounts(schema: Schema) -> bool:
    """Whether this takes requests and limits."""
    return {"requests", "limits"} <= set(properties(schema))


def missing(catalogue: Path, rows: list[dict[str, str]]) -> Iterator[str]:
    """The fields for requests and limits that no row names, outside of lists of containers."""
    known = {(row["group"], row["kind"].lower(), row["path"]) for row in rows}
    for file in sorted(catalogue.glob("*/*.json")):
        key = (file.parent.name, file.stem.rpartition("_")[0])
        for path in fields(json.loads(file.read_text("utf-8")), (), 0):
            dots = ".".join(path).replace(".[]", "[]")
            named = "ontainers" in dots or any(word in dots for word in CLAIMS)
            if not named and (*key, dots) not in known:
                yield f"{key[0]},{key[1]},{dots}"


def fields(schema: Schema, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, ...]]:
    """Every path of a schema that takes requests and limits."""
    if path and is_amounts(schema):
        yield path
    parts = {
        **properties(schema),
        "[]": schema.get("items"),
        "*": schema.get("additionalProperties"),
    }
    for key, below in parts.items() if depth < 25 else ():
        if isinstance(below, dict):
            yield from fields(below, (*path, key), depth + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
