"""What an examination finds: one thing looked at, how it stands, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: `status` is ok, warning or problem."""

    check: str
    status: str
    found: str
    advice: str = ""
