"""The errors a user can meet, all under one root.

Each message is one sentence: what was expected, what was found, where, and what to do next.
"""


class AnalyzerError(Exception):
    """Root of every error this package raises on purpose; the command line prints its text."""

    exit_code = 1


class UsageError(AnalyzerError):
    """The call itself is wrong: an unknown name, a value out of range, options that exclude."""

    exit_code = 2


class ConfigError(AnalyzerError):
    """A configuration file or environment variable cannot be used as it stands."""

    exit_code = 2


class SourceError(AnalyzerError):
    """A source of usage could not be reached, refused, or holds nothing usable."""


class RecordingError(SourceError):
    """A recording on disk, or a table in it, is not what the format says."""


class GitOpsError(AnalyzerError):
    """A repository could not be read, or an edit of it cannot be done."""


class OutputError(AnalyzerError):
    """Results could not be written where they were asked for."""


class LedgerError(AnalyzerError):
    """The ledger of earlier reviews could not be read or written."""
