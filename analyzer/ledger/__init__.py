"""The ledger: what was proposed, what became of it, and what happened afterwards.

Every review adds a row per container (see `table`); nothing is ever changed, so that the history
of a proposal is read from what followed: requests that changed as proposed were merged, others
were changed by hand, and what stays as it was is open.
"""

from analyzer.ledger.judged import judged_rows, tallies
from analyzer.ledger.outcome import Outcome, moves, overruns, score
from analyzer.ledger.recall import recall
from analyzer.ledger.store import append, read_ledger, set_aside
from analyzer.ledger.story import Episode, count_open, episodes
from analyzer.ledger.table import Decision, Ledger, no_ledger
from analyzer.ledger.update import decided, update

__all__ = [
    "Decision",
    "Episode",
    "Ledger",
    "Outcome",
    "append",
    "count_open",
    "decided",
    "episodes",
    "judged_rows",
    "moves",
    "no_ledger",
    "overruns",
    "read_ledger",
    "recall",
    "score",
    "set_aside",
    "tallies",
    "update",
]
