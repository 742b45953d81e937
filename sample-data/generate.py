"""Write the sample cluster: as a recording, as a Git repository, as Prometheus series."""

from __future__ import annotations

import sys

from homelab.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
