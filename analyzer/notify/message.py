"""A run in two lines, as people read it in a chat."""

from __future__ import annotations

from analyzer.escape import one_line
from analyzer.models.demand import RESOURCES
from analyzer.notify.settings import When
from analyzer.report import Report, tally
from analyzer.writers.summary import total_change

_LONGEST = 300


def message_of(report: Report) -> tuple[str, str]:
    """The title and the text of `report`, in which nothing acts.

    What did harm comes first: it is what somebody has to look at now.
    """
    changes = [total_change(report, resource) for resource in RESOURCES]
    lines = [
        *_trouble(report),
        tally(report.recommendations, report.skipped),
        " · ".join(changes),
    ]
    return f"rightsize: {inert(report.meta.cluster)}", "\n".join(map(inert, lines))


def failure(reason: str) -> tuple[str, str]:
    """The title and the text for a run that failed."""
    return "rightsize: the run failed", inert(reason)


def inert(text: str) -> str:
    """`text` on one line, in which no chat finds a mention or a tag."""
    return one_line(text, _LONGEST).replace("@", "\N{FULLWIDTH COMMERCIAL AT}").replace("<", "‹")


def is_due(report: Report, when: When) -> bool:
    """Whether people are to hear of `report`."""
    return (
        when == "always" or bool(_trouble(report)) or (when == "changes" and bool(report.changed))
    )


def _trouble(report: Report) -> list[str]:
    """What went wrong, most urgent first: harm after merges, then what could not be read."""
    harmed = [str(outcome.ref) for outcome in report.outcomes if outcome.harmed]
    partial = [*report.meta.warnings, *report.warnings]
    return [
        f"{words}: {found[0]}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
        for words, found in (
            ("Killed or slowed down after a merged change", harmed),
            ("Partial", partial),
        )
        if found
    ]
