"""HTML put together from elements, so that text from strangers cannot become markup.

Whatever is not `Html` already is escaped; only `element` and `join` make `Html`.
"""

from __future__ import annotations

from collections.abc import Iterable

from analyzer.escape import html

VOID = frozenset({"meta", "img", "input"})
SHAPES = frozenset({"path"})


class Html(str):
    """Text that is markup; made by this module alone, or from the package's own files."""

    __slots__ = ()


def element(name: str, /, *content: str, **attributes: object) -> Html:
    """``<name ...>content</name>``; None and False leave an attribute out, True names it only.

    A trailing underscore of an attribute's name goes (``class_``), others become hyphens.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{shown}>")
    if name in SHAPES:
        return Html(f"<{name}{shown}/>")
    return Html(f"<{name}{shown}>{join(content)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html(str(value))}"'


def join(parts: Iterable[str]) -> Html:
    """The parts one after the other."""
    return Html("".join(part if isinstance(part, Html) else html(part) for part in parts))


def table(
    caption: str, head: Iterable[str], rows: Iterable[Iterable[str]], **attributes: object
) -> Html:
    """A table whose first column heads each row."""
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in rows
    ]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *(element("th", cell, scope="col") for cell in head))),
        element("tbody", *body),
        **attributes,
    )
