"""What a shell completes: models, formats, and the names that the last run saw."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from analyzer.cli.last_run import Ref

LAST_RUN = "reports/latest/run.json"


def complete_models(
    _ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Models that begin like this; of a list by commas, its last one."""
    from analyzer.models import MODELS

    several = parameter.name == "models"
    return _last_of_list(incomplete, MODELS) if several else _beginning(incomplete, MODELS)


def complete_formats(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Formats of a run that begin like this."""
    from analyzer.writers import WRITERS

    return _beginning(incomplete, WRITERS)


def complete_namespaces(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Namespaces of the last run; of a list by commas, its last one."""
    return _last_of_list(incomplete, sorted({ref.namespace for ref in _known(ctx.params)}))


def complete_references(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Workloads of the last run as NAMESPACE/NAME, KIND/NAME where ``-n`` is given, or NAME."""
    from analyzer.kinds import kind_called

    chosen = ctx.params.get("chosen") or ctx.params.get("namespaces") or ()
    word = incomplete.partition("/")[0]
    kind = kind_called(word)  # deploy, sts and the like
    forms: dict[str, None] = {}
    for ref in _known(ctx.params):
        if chosen and ref.namespace not in chosen:
            continue
        short = f"{ref.kind.lower()}/{ref.workload}"
        spelled = (short, ref.workload) if chosen else (f"{ref.namespace}/{ref.workload}", short)
        forms |= dict.fromkeys((*spelled, ref.workload))
        if kind is not None and kind.name == ref.kind:
            forms[f"{word}/{ref.workload}"] = None
        if incomplete.count("/") == 2:
            forms |= dict.fromkeys((f"{ref.namespace}/{ref.workload}/{ref.container}",))
    wanted = [form for form in sorted(forms) if form.count("/") == incomplete.count("/")]
    if "/" not in incomplete and not chosen:
        # First the namespace, then what is in it: a cluster has too many workloads for one list.
        wanted += sorted({f"{ref.namespace}/" for ref in _known(ctx.params)})
    return _beginning(incomplete, wanted)


def _known(parameters: Mapping[str, Any]) -> list[Ref]:
    """The containers of ``--from``, else of the last run; none where there is no such run.

    A completion has no place for errors: what cannot be read completes nothing.
    """
    from analyzer.cli.last_run import refs_of

    folder = os.environ.get("RIGHTSIZE_OUTPUT")
    last = Path(folder) / "run.json" if folder else Path(LAST_RUN)
    return refs_of(parameters.get("run_json") or last)


def _beginning(incomplete: str, known: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def _last_of_list(incomplete: str, known: Iterable[str]) -> list[CompletionItem]:
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [
        CompletionItem(f"{before}{comma}{name}")
        for name in known
        if name.startswith(last) and name not in given
    ]
