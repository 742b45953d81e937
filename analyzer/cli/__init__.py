"""The command line: thin commands over what users import.

Results go to stdout, talk to stderr. Commands import what they need when they run, so that
``rightsize --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from analyzer import __version__
from analyzer.cli import analysis, data, history, repository, settings
from analyzer.errors import AnalyzerError

_EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but partial,
4 changes are recommended (with --exit-code)."""


class _Failure(click.ClickException):
    """An error of ours, shown as its one sentence."""

    def __init__(self, error: AnalyzerError) -> None:
        super().__init__(str(error))
        setattr(self, "exit_code", error.exit_code)  # noqa: B010  # click types it per class


class _Rightsize(click.Group):
    """A group that turns `AnalyzerError` into its sentence, unless ``--debug`` asks for more."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see the class."""
        try:
            return super().invoke(ctx)
        except AnalyzerError as error:
            if ctx.params.get("debug"):
                raise
            raise _Failure(error) from error
        except BrokenPipeError:
            # The reader has had enough (`| head`); leave nothing for the interpreter to flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ctx.exit(0)


@click.group(
    "rightsize",
    cls=_Rightsize,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="rightsize")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def main(debug: bool) -> None:
    """Learn what Kubernetes containers need from what they used, and land it in Git."""


for _command in (
    analysis.run,
    analysis.recommend,
    analysis.explain,
    analysis.backtest,
    history.history,
    data.record,
    data.import_table,
    data.doctor,
    repository.index,
    repository.trace,
    repository.diff,
    repository.patch,
    repository.pr,
    settings.config,
    settings.completion,
):
    main.add_command(_command)
