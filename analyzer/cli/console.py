"""Talking to the user on stderr: sentences, and progress where somebody watches."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from analyzer.escape import one_line

_LONGEST = 10_000


class Talk:
    """Says what goes on, on stderr.

    On a terminal long steps show a bar; elsewhere each step is said once. With
    ``log_format="json"`` every sentence is one JSON object on a line. Within its context what the
    package logs is said too, in the same form.
    """

    def __init__(
        self, *, quiet: bool = False, log_format: str | None = None, stream: TextIO | None = None
    ) -> None:
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.as_json = log_format == "json"
        self._bar: Any = None
        self._task: Any = None
        self._what = ""

    def __enter__(self) -> Self:
        self._handler = _Spoken(self)
        logger = logging.getLogger("analyzer")
        self._level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self._handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        logger = logging.getLogger("analyzer")
        logger.removeHandler(self._handler)
        logger.setLevel(self._level)

    def say(self, text: str, level: str = "info") -> None:
        """Say one sentence; warnings are said even when quiet."""
        if self.quiet and level == "info":
            return
        self._stop()
        text = one_line(text, _LONGEST)
        if self.as_json:
            self._print({"level": level, "message": text})
        else:
            print(text, file=self.stream, flush=True)

    def _print(self, told: Mapping[str, str | float]) -> None:
        print(json.dumps(told), file=self.stream, flush=True)

    def say_partial(self, warnings: Iterable[str]) -> None:
        """Say what could not be read, which is why the exit code is 3."""
        for warning in warnings:
            self.say(f"partial: {warning}", "warning")

    def phase(self, name: str, seconds: float) -> None:
        """A phase has ended: one JSON object on a line for programs; people see the next step."""
        if self.quiet or not self.as_json:
            return
        told = {"level": "info", "message": f"{name} took {seconds:g} s"}
        self._print({**told, "phase": name, "seconds": seconds})

    def progress(self, done: int, total: int, what: str) -> None:
        """Step `what` has come to `done` of `total`."""
        if self.quiet:
            return
        if self.as_json or not self.stream.isatty():
            if what != self._what:
                self._what = what
                self.say(f"{what} ({total})" if total > 1 else what)
            return
        self._show(done, total, what)

    def _show(self, done: int, total: int, what: str) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                console=Console(file=self.stream),
                transient=True,
            )
            self._bar.start()
        if what != self._what:
            self._what = what
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, total=total)
        self._bar.update(self._task, completed=done, total=total)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None
            self._what = ""


class _Spoken(logging.Handler):
    """Says what is logged."""

    def __init__(self, talk: Talk) -> None:
        super().__init__(logging.INFO)
        self.talk = talk

    def emit(self, record: logging.LogRecord) -> None:
        level = "info" if record.levelno < logging.WARNING else "warning"
        self.talk.say(record.getMessage(), level)
