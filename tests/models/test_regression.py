"""What loading the regression leaves out, and that nothing which needs it misses it."""

from __future__ import annotations

import subprocess
import sys

_LOADED = """
import sys
from analyzer.models.regression import logistic_regression
logistic_regression()().fit([[1.0], [2.0], [3.0]], [0, 1, 1])
assert "sklearn.linear_model" in sys.modules
assert "scipy.stats" not in sys.modules
"""

_REACHED = """
from sklearn.metrics import label_ranking_average_precision_score
from sklearn.preprocessing import QuantileTransformer
assert label_ranking_average_precision_score([[1, 0, 0]], [[0.1, 0.2, 0.3]]) == 1 / 3
found = QuantileTransformer(n_quantiles=3, output_distribution="normal").fit_transform(
    [[1.0], [2.0], [3.0]]
)
assert found[1, 0] == 0.0 and found[2, 0] > 5
import scipy.stats
from scipy.stats import norm, rankdata
assert scipy.stats is sys.modules["scipy.stats"] and scipy.stats.__file__
assert norm.cdf(0.0) == 0.5 and list(rankdata([3, 1])) == [2, 1]
"""

_LOADED_BEFORE = """
import scipy.stats as before
import sys
from analyzer.models.regression import logistic_regression
logistic_regression()
assert sys.modules["scipy.stats"] is before
"""


def _run(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_regression_is_loaded_and_fitted_without_statistics() -> None:
    """They are a third of the time that loading takes, and a logistic regression asks for none.

    What else of scikit-learn asks for them afterwards gets them: functions and objects that were
    imported by name, and modules that were.
    """
    _run(_LOADED + _REACHED)


def test_statistics_that_are_loaded_stay_what_they_are() -> None:
    """A notebook that has imported them keeps its own."""
    _run(_LOADED_BEFORE)
