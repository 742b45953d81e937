"""What a chart gives only as long as nothing is stated: kept by writing it out.

A preset of a chart gives way as a whole to the first amount that its values state, ephemeral
storage and all. What nobody asked to change then stands beside the new amounts, as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analyzer.gitops.land.aim import Lost
from analyzer.gitops.land.outcome import Edited
from analyzer.gitops.land.writes import Kept, written
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.edit import Assignment
from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.spelling import Value, read_cpu, read_memory, spell
from analyzer.gitops.text.tree import Path, YamlError
from analyzer.gitops.text.verify import prove_text

_NAME = re.compile(r"[a-z0-9][a-z0-9./-]*", re.IGNORECASE)
"""What Kubernetes calls resources, and nobody has to quote."""


def keeping(edited: Edited, lost: Sequence[Lost], texts: Mapping[str, str]) -> Edited:
    """The edit with what its containers would `lose` by it written out; as it was where it cannot.

    That is where amounts go into a patch or into several places, which take nothing away, and
    where two containers would lose different amounts.
    """
    place = edited.expectation.place
    values = {path: _value(path, text) for path, text in lost}
    here = all(
        write.patch is None and write.file == place.file and _is_below(write.address, place.address)
        for write in edited.writes
    )
    if not lost or not here or len(values) < len(lost) or None in values.values():
        return edited
    keeps = tuple(
        Kept(place.file, place.address.below(*path), value)
        for path, value in sorted(values.items(), key=str)
        if value is not None
    )
    return replace(edited, keeps=keeps) if _holds(edited, keeps, texts) else edited


def _value(path: Path, text: str) -> Value | None:
    """An amount as an edit writes it; None where that would not say the same."""
    if len(path) != 2 or path[0] not in ("requests", "limits") or not _NAME.fullmatch(str(path[1])):
        return None
    read: Value | None = read_cpu(text) if path[1] == "cpu" else read_memory(text)
    if text.isdigit() and path[1] != "cpu":
        read = int(text)
    return read if read is not None and spell(read) == text else None


def _is_below(address: Address, place: Address) -> bool:
    above = place.full_path()
    return address.document == place.document and address.full_path()[: len(above)] == above


def _holds(edited: Edited, keeps: Sequence[Kept], texts: Mapping[str, str]) -> bool:
    """Whether amounts and what is kept can be written, and nothing else of the text changes."""
    file = edited.expectation.place.file
    try:
        after = written(texts, edited.writes, keeps=keeps)[file]
    except (EditRefusedError, YamlError):
        return False
    wanted: list[Assignment] = [(write.address, write.amount) for write in edited.writes]
    wanted += [(kept.address, kept.value) for kept in keeps]
    return prove_text(texts[file], after, wanted).problem is None
