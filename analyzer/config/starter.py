"""A first settings file, with what the cluster at hand has as comments beside each choice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from analyzer.config.structure import Config
from analyzer.escape import json_text, one_line
from analyzer.presets import PROTECTED, Protected
from analyzer.sources.window import DEFAULT_DAYS
from analyzer.workload import ContainerRef

_MOST_NAMED = 3
_HEAD = """\
# Settings of rightsize{seen}.
# What holds and where it comes from: rightsize config. What each setting means, for editors:
# rightsize config --schema. Flags and RIGHTSIZE_* variables win over this file.
"""
_REST = """\

# Where the policy starts: careful (wider margins, slow reductions), balanced or lean.
preset: balanced

# Ready-made rules; take the # away to switch one on. Rules of yours come after them, and win.
protect:
{protect}
# Settings of the policy for all containers, such as:
# policy:
#   cpu_floor: 10m
#   memory_ceiling: 8Gi
#   keep_qos: true

# And for some of them; patterns are shell globs, and a later rule wins:
# rules:
# - namespace: {namespace}
#   set: {{direction: raise}}
# - workload: "*-canary"
#   set: {{direction: "off"}}
{namespaces}
# How much history to read, and until when the recommendations have to last.
# window: {days}d
# horizon: 7d

# Where results go, and in which formats; there are parquet, helm, resize and vpa as well.
# output: reports/latest
# formats: [{formats}]

{git}"""
_GIT = """\
# The repository that declares the workloads: a checkout, or an address to clone.
{mark}git:
{mark}  repo: {repo}
"""


def starter(
    known: Sequence[ContainerRef],
    *,
    source: str | None = None,
    cluster: str | None = None,
    repo: str | None = None,
) -> str:
    """A settings file for a cluster with these containers; `load_config` reads it as it is."""
    workloads = sorted({ref.workload_ref for ref in known})
    spaces = Counter(ref.namespace for ref in known)
    seen = (
        f": seen were {_counted(len(known), 'container')} of {_counted(len(workloads), 'workload')}"
        f" in {_counted(len(spaces), 'namespace')}"
        if known
        else ""
    )
    lines = [_HEAD.format(seen=seen)]
    lines.append("# Where usage comes from: prometheus:URL, cluster:CONTEXT or recording:DIR.\n")
    lines.append(f"{'' if source else '# '}source: {_quoted(source or 'prometheus:http://...')}\n")
    if cluster:
        lines.append(f"cluster: {_quoted(cluster)}\n")
    largest = spaces.most_common(1)[0][0] if spaces else "media"
    git = _GIT.format(mark="" if repo else "# ", repo=_quoted(repo or "."))
    rest = _REST.format(
        protect="".join(_protect(known)),
        namespace=_quoted(largest),
        namespaces="".join(_namespaces(spaces)),
        git=git,
        days=DEFAULT_DAYS,
        formats=", ".join(Config().formats),
    )
    return "".join(lines) + rest


def _protect(known: Sequence[ContainerRef]) -> Iterator[str]:
    """One line per ready-made protection, switched on where it protects something."""
    notes: dict[Protected, str] = {
        "databases": "only raised",
        "stateful": "only raised",
        "system": "left alone",
    }
    for name, rules in PROTECTED.items():
        found = {ref.workload_ref for ref in known if any(rule.matches(ref) for rule in rules)}
        names = _named(str(workload) for workload in sorted(found))
        on = bool(found) and name != "stateful"
        what = f"{notes[name]}; here: {names}" if found else f"{notes[name]}; none were seen"
        yield f"{'' if on else '# '}- {name}  # {what}\n"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _namespaces(spaces: Counter[str]) -> Iterator[str]:
    """The choice of namespaces, with those there are."""
    if spaces:
        there = _named((f"{name} ({n})" for name, n in spaces.most_common()), most=12)
        yield f"\n# Namespaces and their containers: {there}.\n"
    else:
        yield "\n"
    yield "# namespaces: []  # only these\n# exclude_namespaces: []  # all but these\n"


def _named(names: Iterable[str], most: int = _MOST_NAMED) -> str:
    every = [one_line(name, 80) for name in names]
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def _quoted(text: str) -> str:
    """`text` as a YAML scalar that means it, whatever it holds."""
    return json_text(json.dumps(text, ensure_ascii=False))
