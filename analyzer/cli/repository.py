"""Commands about the repository: index, trace, diff, patch, pr."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from analyzer.cli.console import Talk
from analyzer.cli.formats import columns
from analyzer.cli.listing import LISTED, Listing, listing_options, show_listing, view_of
from analyzer.cli.options import (
    Command,
    earlier_run,
    folder_of,
    model_options,
    namespace_option,
    now,
    published_name,
    repository_options,
    run_json_option,
    settings_of,
    source_options,
    within_namespaces,
)
from analyzer.cli.sections import command
from analyzer.control_group import check_addresses
from analyzer.errors import GitOpsError, UsageError
from analyzer.escape import printable

if TYPE_CHECKING:
    from analyzer.beforehand import ClusterLabels
    from analyzer.config import Config
    from analyzer.gitops.index.repository_index import RepositoryIndex
    from analyzer.gitops.land.outcome import ChangePlan, Outcome
    from analyzer.gitops.land.proposal import Grouping, Proposal
    from analyzer.landing import Grouped
    from analyzer.report import Report

PARTIAL, CHANGES = 3, 4


def report_options(command: Command) -> Command:
    """A repository, and the recommendations to land there."""
    chosen = namespace_option()(repository_options(command))
    return source_options(run_json_option(model_options(chosen)))


@command()
@listing_options(LISTED)
@click.option("--revision", metavar="REV", help="What to clone of a URL.")
@click.option("--entry", metavar="DIR", help="Where Flux or Argo CD starts in it.")
@click.option("--charts-dir", "helm_charts", type=Path, help="Helm charts, to render.")
@click.argument("repo", metavar="DIR|URL")
def index(**parameters: Any) -> None:
    """List every place in a repository that declares resources, and what looks wrong there."""
    from analyzer.gitops.index.repository_index import index_repository
    from analyzer.landing import checkout, tools_of

    view = view_of(parameters)
    config = settings_of(parameters).config
    with checkout(config) as root:
        found = index_repository(root, entry=config.git.entry, tools=tools_of(config))
    listing = Listing(
        key="places",
        records=found.to_dicts(),
        table={
            "FILE": itemgetter("file"),
            "DOC": itemgetter("document"),
            "PATH": itemgetter("path"),
            "OWNER": lambda p: f"{p['owner_kind']} {p['namespace'] or '-'}/{p['owner']}",
            "REACHABLE": lambda p: {None: "?", True: "yes", False: "no"}[p["reachable"]],
            "EDITABLE": lambda p: "yes" if p["editable"] else p["reason"],
        },
        name=lambda p: f"{p['file']}:{p['document']}:{p['path']}",
        json={"findings": [finding.to_dict() for finding in found.findings]},
    )
    show_listing(listing, view)


@command()
@report_options
@listing_options(LISTED)
@click.pass_context
def trace(ctx: click.Context, /, **parameters: Any) -> None:
    """Show for each live container where Git declares its resources, or why not."""
    from analyzer.landing import trace_all

    view = view_of(parameters)
    given = given_by(parameters)
    code = given.code
    traced, findings = trace_all(given.report, given.config, given.said)
    heads = ("container", "file", "path", "confidence", "reason")
    listing = Listing(
        key="traces",
        records=[one.to_dict() for one in traced],
        table={name.upper(): itemgetter(name) for name in heads},
        name=itemgetter("container"),
        json={"findings": [finding.to_dict() for finding in findings]},
    )
    show_listing(listing, view)
    if findings and view.form == "table":
        rows = [[f.kind, f.place.file, f.place.path, f.message] for f in findings]
        click.echo("\n" + columns(["FINDING", "FILE", "PATH", "WHAT"], rows))
    ctx.exit(code)


@command()
@report_options
@click.option("--exit-code", is_flag=True, help="Exit with 4 when there is a difference.")
@click.pass_context
def diff(ctx: click.Context, /, exit_code: bool, **parameters: Any) -> None:
    """Print the recommended changes to the repository as a unified diff.

    With --from and no repository it is the diff that the run has planned and proven. With one, the
    changes are planned and proven anew on what stands there now.
    """
    from analyzer.landing import plan_landing

    known = _known_diff(parameters)
    if known is not None:
        click.echo(known, nl=False)
        ctx.exit(CHANGES if exit_code and known else 0)
    given = given_by(parameters)
    code = given.code
    plan = plan_landing(given.report, given.config, given.said)
    _tell_advice(plan, parameters)
    click.echo(plan.diff(), nl=False)
    ctx.exit(code or (CHANGES if exit_code and plan.edits else 0))


def _known_diff(parameters: dict[str, Any]) -> str | None:
    """The diff that an earlier run has planned, where it is asked for whole and no repository is.

    None where the changes are to be planned.
    """
    run_json: Path | None = parameters["run_json"]
    if run_json is None or published_name(run_json) is not None:
        return None
    config = settings_of(parameters).config
    if config.git.repo is not None or config.namespaces:
        return None
    from analyzer.report import load_report

    report = load_report(run_json)
    return report.diff if report.landings else None


@command()
@report_options
@click.option("--allow-dirty", is_flag=True, help="Also change files with uncommitted changes.")
@click.pass_context
def patch(ctx: click.Context, /, allow_dirty: bool, **parameters: Any) -> None:
    """Write the recommended changes into the repository's working tree."""
    from analyzer.gitops.land.worktree import apply_to_worktree, expect_work_tree
    from analyzer.landing import plan_landing

    given = given_by(parameters)
    code, folder = given.code, Path(given.config.git.repo or ".")
    if not folder.is_dir():
        raise UsageError("patch writes into a checkout; name its folder with --repo")
    if not allow_dirty:
        expect_work_tree(folder)
    plan = plan_landing(given.report, given.config, given.said)
    _tell_advice(plan, parameters)
    for path in apply_to_worktree(plan.index.root, plan.edits, force=allow_dirty):
        click.echo(str(path))
    ctx.exit(code)


@command()
@report_options
@click.option("-o", "--output", "folder", type=Path, help="Write patch files into this folder.")
@click.option("--branches", is_flag=True, help="Commit each to a branch of the checkout.")
@click.option(
    "--group",
    type=click.Choice(["application", "workload", "namespace", "team", "all"]),
    help="What shares a pull request [application].",
)
@click.option("--split/--no-split", default=None, help="Never mix raises and reductions [on].")
@click.option("--open", "deliver", is_flag=True, help="Open and refresh them on the forge.")
@click.option("--dry-run", is_flag=True, help="With --open: say what would be pushed and sent.")
@click.pass_context
def pr(
    ctx: click.Context, /, group: Grouping | None, split: bool | None, **parameters: Any
) -> None:
    """Prepare pull requests: a commit per application, raises apart, described for review.

    As files for `git am`, as branches of the checkout, or opened and refreshed on the forge where
    its remote lives (GitHub, GitLab, Gitea, Forgejo, Azure DevOps,
    Bitbucket).
    """
    from analyzer.landing import Grouped, planned

    ways = _Ways(*(parameters.pop(name) for name in ("folder", "branches", "deliver", "dry_run")))
    ways.expect_some()
    given = given_by(parameters, judge=True)
    ways.expect_checkout(given.config)
    given = replace(given, config=_with_grouping(given.config, group, split))
    how, code = Grouped.of(given.config.forge), given.code
    with planned(given.report, given.config, given.said) as plan:
        _tell_advice(plan, parameters)
        if ways.folder is not None:
            _write(ways.folder, given.report, plan, how)
        with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
            if ways.branches or not ways.deliver:
                code = _list(given, plan, how, talk if ways.branches else None) or code
            if ways.deliver:
                code = _open(given, plan, talk, dry_run=ways.dry_run) or code
    ctx.exit(code)


@dataclass(frozen=True)
class _Ways:
    """What `pr` is asked to make of its proposals."""

    folder: Path | None
    branches: bool
    deliver: bool
    dry_run: bool

    def expect_some(self) -> None:
        """Raise `UsageError` where nothing is asked for, or two things that exclude each other."""
        if self.folder is None and not self.branches and not self.deliver:
            raise UsageError("say what to prepare: files with --output DIR, --branches, or --open")
        if self.dry_run and not self.deliver:
            raise UsageError("--dry-run goes with --open: nothing else leaves this machine")
        if self.dry_run and self.branches:
            raise UsageError("--dry-run makes no branches; leave out --branches, or --dry-run")

    def expect_checkout(self, config: Config) -> None:
        """Raise `UsageError` where branches are asked for and there is no checkout to have them."""
        if self.branches and not Path(config.git.repo or ".").is_dir():
            raise UsageError("branches are made in a checkout; name its folder with --repo")


def _write(folder: Path, report: Report, plan: ChangePlan, how: Grouped) -> None:
    """Write the proposals into `folder`, as files for `git am`."""
    from analyzer.landing import with_plan
    from analyzer.output import publish, write_files
    from analyzer.writers.gitdiff import write_gitdiff

    with publish(folder) as fresh:
        write_files(fresh, write_gitdiff(with_plan(report, plan, how)))


def _open(given: _Given, plan: ChangePlan, talk: Talk, *, dry_run: bool) -> int:
    """Open and refresh the proposals on the forge; the exit code that is due."""
    from analyzer.cli.delivery import open_pull_requests
    from analyzer.pull_requests import Found

    charts = given.folder / "charts" if given.folder is not None else None
    run = Found(given.report, plan, charts)
    return open_pull_requests(run, given.config, talk, dry_run=dry_run)


def _list(given: _Given, plan: ChangePlan, how: Grouped, talk: Talk | None) -> int:
    """List the proposals, and commit each to its branch where `talk` is there to say what failed.

    One that cannot be committed ends nothing else; the exit code says that some are missing.
    """
    from analyzer.landing import propose

    code = 0
    for proposal in propose(given.report, plan, how):
        if talk is not None:
            fate = _commit(proposal, plan, given.config, talk)
            code = max(code, PARTIAL if fate == "failed" else 0)
            if fate != "made":
                continue
        click.echo(f"{printable(proposal.branch)}  {printable(proposal.title)}")
    return code


def _commit(
    proposal: Proposal, plan: ChangePlan, config: Config, talk: Talk
) -> Literal["made", "left out", "failed"]:
    """Commit a proposal to its branch, or say why that was not done."""
    from analyzer.gitops.land.diff import Author
    from analyzer.gitops.land.worktree import RejectedError, commit_to_branch

    author = Author(config.forge.author_name, config.forge.author_email)
    message = f"{proposal.title}\n\n{proposal.body}"
    root = plan.index.root
    try:
        commit_to_branch(root, proposal.branch, message, proposal.edits, author=author)
    except RejectedError as err:
        talk.say(f"left out: {err}")
        return "left out"
    except GitOpsError as err:
        talk.say(f"left alone: {proposal.branch}: {err}", "warning")
        return "failed"
    return "made"


def _with_grouping(config: Config, group: Grouping | None, split: bool | None) -> Config:
    """The settings, with what the flags say of how pull requests are made up."""
    from msgspec.structs import replace as with_settings

    forge = with_settings(
        config.forge,
        group=group or config.forge.group,
        split_directions=config.forge.split_directions if split is None else split,
    )
    return with_settings(config, forge=forge)


def _tell_advice(plan: ChangePlan, parameters: dict[str, Any]) -> None:
    """Say what is left to a person, or that this repository declares nothing of the cluster."""
    if plan.outcomes and not any(_declared(outcome, plan.index) for outcome in plan.outcomes):
        raise UsageError(
            f"{plan.index.root}: nothing here declares any of the {len(plan.outcomes)} containers "
            "to change; name the root of the repository that does with --repo"
        )
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        for advice in plan.advice:
            talk.say(f"left to you: {advice.ref}: {advice.reason}")


def _declared(outcome: Outcome, index: RepositoryIndex) -> bool:
    """Whether the repository declares the container, be it where nothing can be edited."""
    ref = outcome.ref
    fitting = (one for one in index.naming(ref) if one.fits(ref.kind, ref.workload))
    return outcome.place is not None or any(fitting)


@dataclass(frozen=True)
class _Given:
    """What a command of this file starts from; `code` is the exit code that is due so far.

    `said` is what the cluster says now of the containers of an earlier run.
    """

    config: Config
    report: Report
    said: ClusterLabels | None
    code: int
    folder: Path | None = None
    """Where the files of the earlier run lie that it starts from."""


def given_by(parameters: dict[str, Any], *, judge: bool = False) -> _Given:
    """The settings, and the recommendations of an earlier run or of the source now.

    What cannot be read now makes it partial; what an earlier run missed was said by that run.
    `judge` adds what the recommendations of the source would have caused before.
    """
    from msgspec.structs import replace as with_settings

    from analyzer.beforehand import cluster_labels
    from analyzer.landing import check_repository

    config = settings_of(parameters).config
    check_repository(config)
    run_json: Path | None = parameters["run_json"]
    with Talk(quiet=parameters["quiet"], log_format=parameters["log_format"]) as talk:
        if run_json is not None:
            report = within_namespaces(earlier_run(run_json, config), config, talk)
            said = cluster_labels(config)
            missed = [*said.missed]
        else:
            from analyzer.history import build_histories
            from analyzer.pipeline.reading import read
            from analyzer.pipeline.review import recommend_now

            check_addresses()
            said = None
            config = with_settings(config, backtest=config.backtest and judge)
            recording = read(config, now(), talk.progress)
            report = recommend_now(build_histories(recording), config, talk.progress)
            missed = [*report.meta.warnings, *report.warnings]
        talk.say_partial(missed)
    return _Given(config, report, said, PARTIAL if missed else 0, folder_of(run_json))
