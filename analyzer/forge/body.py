"""Bodies of pull requests and issues, as long as a forge takes them."""

from __future__ import annotations

from analyzer.forge.protocol import Text

RETIRED = "<!-- rightsize-retired -->"
"""In the body of what a run closed by itself: nobody rejected it."""

_CUT = (
    "\n\n(shortened: the forge takes no longer text; the commit and the run's files say it all)\n"
)
_KEPT = ("<!-- rightsize:", RETIRED)
_FENCE, _FOLD = "\n```\n", "\n\n</details>"
"""What ends a block of code, and a part that is folded."""


def fitted(text: Text, longest: int) -> Text:
    """`text` with a body of at most `longest` characters."""
    return Text(text.title, shortened(text.body, longest))


def shortened(body: str, longest: int) -> str:
    """`body`, cut where a forge takes no more; the hidden comments at its end stay whole."""
    if len(body) <= longest:
        return body
    hidden = "".join(f"\n{line}" for line in body.split("\n") if line.startswith("<!-- rightsize"))
    room = longest - len(_CUT) - len(hidden)
    if room < 0:  # a promise of very many containers: the digest alone is kept
        hidden = "".join(f"\n{x}" for x in hidden.split("\n") if x.startswith(_KEPT))
        room = longest - len(_CUT) - len(hidden)
    kept = "\n".join(line for line in body.split("\n") if not line.startswith("<!-- rightsize"))
    shown = kept[: max(0, room - len(_FENCE) - len(_FOLD))].rpartition("\n")[0]
    fenced = sum(line.startswith("```") for line in shown.split("\n")) % 2
    folded = shown.count("<details>") > shown.count("</details>")
    return f"{shown}{_FENCE * fenced}{_FOLD * folded}{_CUT}{hidden}"
