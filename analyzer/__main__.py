"""``rightsize``, which is also ``python -m analyzer``."""

import signal


def main() -> None:
    """Run the command line; before it is there, an interrupt ends the process without a word.

    Loading takes a good part of a second, in which Python would show where it was interrupted.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from analyzer.cli import main as command

    command()


if __name__ == "__main__":
    main()
