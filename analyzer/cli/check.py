"""The command for reviewers: does a change still fit what was measured?"""

from __future__ import annotations

import os
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.console import Talk
from analyzer.cli.formats import View
from analyzer.cli.listing import LISTED, Listing, listing_options, show_listing, view_of
from analyzer.cli.repository import CHANGES, PARTIAL, given_by, report_options
from analyzer.cli.sections import command
from analyzer.errors import AnalyzerError, UsageError

if TYPE_CHECKING:
    from analyzer.config import Config
    from analyzer.fitness import Fit, Judgement

_FAILING: dict[str, tuple[Fit, ...]] = {"low": ("low",), "tight": ("low", "tight"), "never": ()}


@command()
@report_options
@click.option("--base", metavar="REV", required=True, help="What the change is made on.")
@click.option("--head", metavar="REV", default="HEAD", help="The change [HEAD].")
@listing_options(LISTED)
@click.option(
    "--comment", "number", type=click.IntRange(1), metavar="N", help="Comment on pull request N."
)
@click.option(
    "--fail-on",
    type=click.Choice(list(_FAILING)),
    default="low",
    help="What makes the exit code 4 [low].",
)
@click.pass_context
def check(
    ctx: click.Context,
    /,
    base: str,
    head: str,
    number: int | None,
    fail_on: str,
    **parameters: Any,
) -> None:
    """Say whether a change of requests and limits still fits what was measured.

    Between two commits of a checkout, each amount that changes is held against what an earlier run
    (--from run.json, or --from published: for the one that the repository holds) or the source has
    seen: too low, tight, as measured, or more than needed. The checkout stays as it is. With
    --comment it is said on the pull request, in one comment.
    """
    from analyzer.fitness import comment, headline, marker
    from analyzer.landing import judge_change

    view = view_of(parameters)
    parameters["repo"] = parameters["repo"] or "."
    given = given_by(parameters)
    folder = Path(str(given.config.git.repo))
    if not folder.is_dir():
        raise UsageError("check compares commits of a checkout; name its folder with --repo")
    found = judge_change(given.report, given.config, base, head, given.said)
    text, code = comment(given.report, found), given.code
    _show(found, view, text)
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        talk.say(headline(found))
        if number is not None:
            told = marker(given.report.meta.cluster), text
            code = _tell(folder, given.config, number, told, talk) or code
    if any(judgement.fit in _FAILING[fail_on] for judgement in found):
        code = CHANGES
    ctx.exit(code)


def _tell(folder: Path, config: Config, number: int, told: tuple[str, str], talk: Talk) -> int:
    """Comment on a pull request, by the mark and the text of `told`; the exit code that is due."""
    from analyzer.pull_requests import put_comment

    try:
        put_comment(folder, config, dict(os.environ), number, told)
    except AnalyzerError as error:
        talk.say(f"not told on pull request {number}: {error}", "warning")
        return PARTIAL
    return 0


def _show(found: list[Judgement], view: View, text: str) -> None:
    """Print the judgements; as Markdown, what the comment on a pull request says."""
    if view.form == "markdown":
        click.echo(text, nl=False)
        return
    heads = {"CONTAINER": "container", "WHAT": "target", "WAS": "before", "NOW": "after"}
    heads |= {"REVIEW ASKS": "needed", "FIT": "fit", "REASON": "reason"}
    listing = Listing(
        key="changed",
        records=[judgement.to_dict() for judgement in found],
        table={head: itemgetter(name) for head, name in heads.items()},
        name=lambda record: f"{record['container']}: {record['target']}",
    )
    show_listing(listing, view)
