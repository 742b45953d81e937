"""Values spelled the way their file already spells them.

Turning ``128M`` into ``128Mi`` or ``"0.5"`` into ``500m`` is noise in a review, so a new amount
takes over the unit family of the old one where that costs no precision that matters.
"""

from __future__ import annotations

import re

from analyzer.errors import UsageError
from analyzer.quantity import Cpu, Memory

Value = Cpu | Memory | int | str
"""What an edit may write: an amount, a whole number, or a text of plain words."""

# What every reader takes for the same number: no leading zeros (octal to YAML 1.1), no signs, no
# underscores, no exponent.
_CLEAR = re.compile(r"(?:0|[1-9]\d*)(?:\.\d+)?(?:m|k|[KMGTPE]i?)?", re.ASCII)
_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
# Plain in YAML whatever stands around it, and the same inside quotes of either kind.
_WORDS = re.compile(
    r"(?:--?[\w.]|[A-Za-z_./])(?:[\w./=+@-]|[: ](?=[\w./+@-]))*|[1-9]\d*[KMGT]iB", re.ASCII
)
_DECIMAL_BYTES = {"k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}


def is_clear(text: str) -> bool:
    """Whether `text` is a quantity that every YAML reader and Kubernetes read alike."""
    return _CLEAR.fullmatch(text) is not None


def is_plain(text: str, value: Value) -> bool:
    """Whether `text` is of the kind of `value`, written so that every reader reads it alike."""
    if isinstance(value, Cpu | Memory):
        return is_clear(text)
    return (_WHOLE if isinstance(value, int) else _WORDS).fullmatch(text) is not None


def spell_cpu(amount: Cpu, like: str | None = None) -> str:
    """Write `amount` in millicores or, where the old text has a decimal point, in cores.

    Cores stay bare while two decimals hold the amount exactly (``0.25``); ``35m`` is easier to
    read than ``0.035``.
    """
    if like is not None and "." in like and not like.endswith("m") and amount.millicores % 10 == 0:
        whole, hundredths = divmod(amount.millicores // 10, 100)
        return f"{whole}.{hundredths:02d}".rstrip("0").rstrip(".")
    return str(amount)


def spell_memory(amount: Memory, like: str | None = None) -> str:
    """Write `amount` in the family of the old text: ``128M`` stays decimal, ``128Mi`` binary.

    Decimal amounts round up to a whole unit that keeps at least two digits, so the text is never
    below `amount` and, from 50M on, at most 2 % above it.
    """
    suffix = like[-1] if like and like[-1] in _DECIMAL_BYTES else None
    if suffix is None:
        return str(amount)
    for unit in reversed(_DECIMAL_BYTES):
        size = _DECIMAL_BYTES[unit]
        if amount.bytes % size == 0 and amount.bytes:
            return f"{amount.bytes // size}{unit}"
        if amount.bytes >= 10 * size:
            return f"{-(-amount.bytes // size)}{unit}"
    return f"{-(-amount.bytes // 1000)}k"


def spell(value: Value, like: str | None = None) -> str:
    """Write `value` in the manner of `like`, the old text, if there is one."""
    if isinstance(value, Cpu):
        return spell_cpu(value, like)
    if isinstance(value, Memory):
        return spell_memory(value, like)
    return str(value)


def says(text: str, value: Value) -> bool:
    """Whether `text` states exactly `value`, however it is spelled."""
    if isinstance(value, Cpu):
        return read_cpu(text) == value
    if isinstance(value, Memory):
        return read_memory(text) == value
    return text == str(value)


def read_cpu(text: str | None) -> Cpu | None:
    """The CPU amount that `text` states; None where it states none that can be read."""
    try:
        return None if text is None else Cpu.parse(text)
    except UsageError:
        return None


def read_memory(text: str | None) -> Memory | None:
    """The memory amount that `text` states; None where it states none that can be read."""
    try:
        return None if text is None else Memory.parse(text)
    except UsageError:
        return None
