"""The command line: thin commands over what users import.

Results go to stdout, talk to stderr. Commands import what they need when they run, so that
``rightsize --help`` answers at once.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from analyzer import __version__
from analyzer.cli import (
    analysis,
    check,
    data,
    fleet,
    history,
    manual,
    nodes,
    repository,
    serve,
    settings,
)
from analyzer.cli.deferred import defer
from analyzer.cli.options import debug_in_group
from analyzer.cli.stopping import INTERRUPTED, STOPPED, Stopped, stoppable
from analyzer.control_group import check_addresses
from analyzer.errors import AnalyzerError, OutputError
from analyzer.escape import printable

_EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but partial,
4 changes are recommended (with --exit-code), 130 interrupted,
143 told to stop."""

# Half a second of processor, for commands that read an earlier report and no usage.
defer("pandas", "requests", "urllib3")


class _Failure(click.ClickException):
    """An error, shown as its one sentence."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        setattr(self, "exit_code", exit_code)  # noqa: B010  # click types it per class


class _Rightsize(click.Group):
    """A group in which every failure is one sentence, unless ``--debug`` asks for more.

    What libraries warn of is for those who develop this package: without ``--debug``, and unless
    Python itself is told otherwise, it stays away from users.
    """

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command; flags of the group may stand behind it as well."""
        known = {word for parameter in cmd.params for word in parameter.opts}
        cmd.params += [flag for flag in _talk_flags() if not known & set(flag.opts)]
        super().add_command(cmd, name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the flags of the group; one of a command that stands before it is told apart."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            flag = error.option_name
            commands = self.commands.values()
            if any(flag in p.opts for command in commands for p in command.params):
                raise click.UsageError(f"{flag} goes behind the command", ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by what one wants to do."""
        for heading, commands in _COMMANDS.items():
            with formatter.section(heading):
                rows = [(str(c.name), c.get_short_help_str(limit=200)) for c in commands]
                formatter.write_dl(rows)

    def main(self, *words: Any, **named: Any) -> Any:
        """Run the command line, which a signal may end."""
        with stoppable(), _patient_collector():
            return super().main(*words, **named)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see the class."""
        with warnings.catch_warnings():
            if not ctx.params.get("debug") and not sys.warnoptions:
                warnings.simplefilter("ignore")
            try:
                return self._watched(ctx)
            except Stopped:
                click.echo("told to stop; earlier results are as they were", err=True)
                return ctx.exit(STOPPED)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                return ctx.exit(INTERRUPTED)
            # Any kind: Arrow has no narrower name for a shortage. What is not told is raised again.
            except Exception as error:
                if ctx.params.get("debug") or not _is_told(error):
                    raise
                raise _failure(error) from error

    def _watched(self, ctx: click.Context) -> Any:
        """Run the command, with whatever stdout refuses told apart from everything else."""
        try:
            result = super().invoke(ctx)
        except click.exceptions.Exit:
            _flush_stdout()
            raise
        except BrokenPipeError:
            # The reader has had enough (`| head`).
            _drop_stdout()
            return ctx.exit(0)
        except OSError as error:
            # Files of ours are named in their errors; only stdout is written to without a name.
            if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise _refused(error) from error
            raise
        _flush_stdout()
        return result


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Look for unreachable cycles of objects more rarely until the block ends.

    Loading the libraries makes hundreds of thousands of objects that all stay: to go through them
    again and again was a tenth of the processor time of a small run.
    """
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


_OBJECTS_BETWEEN_LOOKS = 100_000


def _is_told(error: Exception) -> bool:
    """Whether one sentence says all of `error`: it is the user's, the system's, or a shortage."""
    if isinstance(error, ModuleNotFoundError):
        return False
    return isinstance(error, AnalyzerError | OSError | MemoryError) or _is_shortage(error)


def _is_shortage(error: Exception) -> bool:
    """Whether a library fails as it does where the system gives it too little.

    Arrow has no name for what a thread is refused with but that of all its errors.
    """
    if isinstance(error, ImportError | SystemError):
        return True
    kind = type(error)
    arrow = kind.__module__.startswith("pyarrow") and kind.__name__ == "ArrowException"
    return arrow or (isinstance(error, RuntimeError) and "start new thread" in str(error))


def _failure(error: Exception) -> _Failure:
    if isinstance(error, AnalyzerError):
        return _Failure(str(error), error.exit_code)
    if _is_shortage(error):
        return _Failure(
            f"a library fails ({printable(str(error))}), as it does where memory or descriptors "
            "are short; give the process more, or install it anew"
        )
    if isinstance(error, MemoryError):
        return _Failure("there is not enough memory; read fewer namespaces with -n")
    filename, reason = getattr(error, "filename", None), getattr(error, "strerror", None)
    where = f"{printable(str(filename))}: " if filename else ""
    return _Failure(f"{where}{reason or type(error).__name__}; --debug shows where")


def _flush_stdout() -> None:
    """Say now what stdout does not take: at exit it would be a traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> OutputError:
    _drop_stdout()
    return OutputError(f"standard output: cannot be written ({error.strerror})")


def _drop_stdout() -> None:
    """Leave nothing for the interpreter to flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    "rightsize",
    cls=_Rightsize,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="rightsize")
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def main(debug: bool, quiet: bool) -> None:
    """Learn what Kubernetes containers need from what they used, and land it in Git."""
    # A thread per core of the node, each with buffers of its own, buys nothing on arrays as small
    # as ours, and where the threads are refused the library interrupts the process.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if click.get_current_context().invoked_subcommand in _LEARNING:
        check_addresses()
    if not debug:
        # What libraries log is for those who develop. With no last resort at all, Python says so.
        logging.lastResort = logging.NullHandler()


_LEARNING = ("run", "recommend", "explain", "backtest", "nodes", "fleet")
"""Those that learn whatever they are given; the others look when they come to it."""


def _talk_flags() -> list[click.Option]:
    """The flags of the group, for commands that have no use for them of their own."""
    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, help="No talk on stderr."
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=debug_in_group,
            help="Show tracebacks.",
        ),
    ]


_COMMANDS: dict[str, tuple[click.Command, ...]] = {
    "Recommend": (
        analysis.run,
        analysis.recommend,
        analysis.explain,
        nodes.nodes,
        fleet.fleet,
    ),
    "Change what Git declares": (
        repository.diff,
        repository.patch,
        repository.pr,
        check.check,
        repository.trace,
        repository.index,
    ),
    "Look back": (history.history, analysis.backtest, serve.serve),
    "Usage": (data.doctor, data.record, data.merge, data.import_table),
    "Settings and shell": (
        settings.init,
        settings.config,
        settings.schema,
        settings.completion,
        manual.man,
        settings.version,
    ),
}

for _commands in _COMMANDS.values():
    for _command in _commands:
        main.add_command(_command)
