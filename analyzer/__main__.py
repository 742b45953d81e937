"""``python -m analyzer`` is ``rightsize``."""

from analyzer.cli import main

if __name__ == "__main__":
    main()
