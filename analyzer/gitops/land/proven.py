"""How an edit was proven, as a report keeps it: nothing of it needs what proves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """How one edit was proven: on its text always, by rendering where that was possible.

    `fields` are the leaves that changed. `rendered_with` names the program and its version; then
    `changed` of `containers` rendered ones changed, exactly those meant, and `without` says what
    had to be left out of the rendering. Where nothing was rendered, `not_rendered` says why.
    `along` says in a sentence each how what is written with it was proven, where otherwise.
    """

    fields: tuple[str, ...]
    rendered_with: str = ""
    changed: int = 0
    containers: int = 0
    without: str = ""
    not_rendered: str = ""
    along: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was checked on the file itself."""
        return f"{', '.join(self.fields)} changed, every other character as before"

    @property
    def rendering(self) -> str:
        """What rendering showed, or why there was none."""
        return "; ".join((self._own_rendering, *self.along))

    @property
    def _own_rendering(self) -> str:
        if not self.rendered_with:
            return self.not_rendered
        count = f"{self.changed} of {self.containers} containers changed, as intended"
        left_out = f"; {self.without} was left out" if self.without else ""
        return f"rendered with {self.rendered_with}: {count}{left_out}"

    def __str__(self) -> str:
        return f"text: {self.text}; {self.rendering}"
