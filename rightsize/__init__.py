"""The public names of `analyzer` under the name of the distribution: ``import rightsize as rs``."""

from typing import TYPE_CHECKING

import analyzer

__version__ = analyzer.__version__
__all__ = analyzer.__all__  # that list itself

if TYPE_CHECKING:
    from analyzer import *  # noqa: F403  # every public name, with its type
else:

    def __getattr__(name: str) -> object:
        return getattr(analyzer, name)
