"""Git, asked about a checkout: the one that is named, whatever the caller's environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping

_LEADING_ELSEWHERE = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CEILING_DIRECTORIES", "GIT_COMMON_DIR",
        "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_EXTERNAL_DIFF",
        "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_LITERAL_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
    }
)  # fmt: skip
"""What git itself calls local to a repository (`git rev-parse --local-env-vars`), and its like."""


def git_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would lead git to another repository.

    A hook or ``git rebase --exec`` sets such variables for whatever it starts. Nobody is there to
    answer git, and it speaks English, for what it says is looked at.
    """
    kept = {key: value for key, value in os.environ.items() if key not in _LEADING_ELSEWHERE}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **(extra or {})}
