"""Evidence: what was observed of each container, in the numbers a reviewer asks for."""

from analyzer.evidence.hours import BusyHour
from analyzer.evidence.observe import Evidence, Quantiles, observe
from analyzer.evidence.pods import Spread

__all__ = ["BusyHour", "Evidence", "Quantiles", "Spread", "observe"]
