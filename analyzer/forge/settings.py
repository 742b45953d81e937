"""Where pull requests are made, and how many."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import msgspec

Kind = Literal[
    "auto", "github", "gitlab", "gitea", "azure", "bitbucket", "bitbucket-server", "none"
]


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What gets its changes together; patterns are shell globs, and one of each kind must match."""

    name: str
    """What it is called in pull requests and on the dashboard."""
    clusters: tuple[str, ...] = ()
    """Patterns for the name of the cluster; none: any."""
    namespaces: tuple[str, ...] = ()
    """Patterns for the namespace; none: any."""
    paths: tuple[str, ...] = ()
    """Patterns for the file that declares the amounts, from the folder `git.repo`; none: any.
    A star also stands for slashes: ``overlays/staging/*`` is all below that folder."""

    def holds(self, cluster: str, namespace: str, file: str | None) -> bool:
        """Whether what `file` declares for a namespace of a cluster belongs here.

        Where the file is not known (None) the others decide.
        """
        pairs = ((cluster, self.clusters), (namespace, self.namespaces), (file, self.paths))
        return all(
            not patterns or name is None or any(fnmatchcase(name, each) for each in patterns)
            for name, patterns in pairs
        )


class ForgeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where pull requests are made, and how many."""

    kind: Kind = "auto"
    """Which forge: ``github`` (also Enterprise), ``gitlab``, ``gitea`` (also Forgejo), ``azure``
    (Azure DevOps), ``bitbucket`` (Bitbucket Cloud), ``bitbucket-server`` (Bitbucket Data Center),
    ``none`` (branches are pushed, titles and bodies are files); by default what the remote's host
    says."""
    url: str | None = None
    """The address of its API, such as ``https://git.example.org/api/v3``; by default from the
    remote's host."""
    repository: str | None = None
    """``owner/name`` on the forge; by default from the remote's address."""
    token_file: str | None = None
    """A file that holds the token, read anew for every request; by default the variable
    ``GITHUB_TOKEN``, ``GITLAB_TOKEN``, ``GITEA_TOKEN``, ``AZURE_DEVOPS_TOKEN`` or
    ``BITBUCKET_TOKEN``."""
    app_id: str | int | None = None
    """The client id or the number of a GitHub App to sign in as, in place of a token."""
    app_key_file: str | None = None
    """A file that holds the private key of that app."""
    ca_file: str | None = None
    """A certificate authority for the API; by default those of the system."""
    remote: str = "origin"
    """The remote of the checkout that branches are pushed to."""
    base: str | None = None
    """The branch to propose to; by default the forge's default branch."""
    group: Literal["application", "workload", "namespace", "team", "all"] = "application"
    """What shares a pull request. A ``team`` is named by a label of the workload, else by the
    repository's CODEOWNERS; what is nobody's goes by its namespace."""
    team_label: str = "team"
    """The label of workloads that names their team."""
    split_directions: bool = True
    """Never mix raises and reductions: what must not wait is not held up by what needs thought."""
    most_open: int = 5
    """At most this many are open at once, the most urgent first."""
    labels: tuple[str, ...] = ()
    """Labels that every pull request gets."""
    dashboard: bool = True
    """Keep an issue that lists what is open, what waits and what is held, and why."""
    charts: bool = True
    """Show the charts of a run in its pull requests, from a branch that holds nothing else."""
    stages: tuple[Stage, ...] = ()
    """Stages in their order, such as ``[{name: staging, namespaces: ["*-staging"]}, {name:
    production}]``: what lies in a later one is proposed once the same workload has been through a
    good week in the earlier ones. Each container belongs to the first stage that takes it."""
    publish: bool = False
    """Keep the last ``run.json`` of each cluster on a branch ``rightsize-runs/CLUSTER``, where
    ``--from published:`` finds it: for the check in CI, and for stages in other clusters."""
    reopen_change: float = 0.25
    """What a person closed comes back once an amount moved by at least this share of itself."""
    author_name: str = "rightsize"
    """Who commits."""
    author_email: str = "rightsize@localhost"
    """The address of the committer; commits by any other address are a person's work."""

    def __post_init__(self) -> None:
        if not 1 <= self.most_open <= 1000:
            raise ValueError(f"most_open must lie between 1 and 1000, found {self.most_open}")
        if not 0 <= self.reopen_change <= 10:
            raise ValueError(
                f"reopen_change must lie between 0 and 10, found {self.reopen_change:g}"
            )
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names) or not all(names):
            raise ValueError(f"stages must have names of their own, found {', '.join(names)}")
        for stage in self.stages[:-1]:
            if not (stage.clusters or stage.namespaces or stage.paths):
                raise ValueError(
                    f"stages: {stage.name} takes everything, so that nothing is left for the "
                    "stages after it; give it clusters, namespaces or paths"
                )
        if "@" not in self.author_email or any(c in self.author_email for c in "<> \n"):
            raise ValueError(f"author_email must be an address, found {self.author_email!r}")
