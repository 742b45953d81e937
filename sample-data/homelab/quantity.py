"""Kubernetes quantities as people write them, read independently of the analyzer."""

from __future__ import annotations

from fractions import Fraction

_FACTORS = {
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "m": Fraction(1, 1000),
    "": Fraction(1),
}


def amount(text: str) -> float:
    """The number `text` stands for: cores or bytes."""
    suffix = next(end for end in _FACTORS if (end and text.endswith(end)) or not end)
    digits = text[: len(text) - len(suffix)] if suffix else text
    return float(Fraction(digits) * _FACTORS[suffix])
