"""``python -m rightsize``: the command line."""

from analyzer.cli import main

if __name__ == "__main__":
    main(prog_name="rightsize")
