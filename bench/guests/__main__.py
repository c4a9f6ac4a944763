"""`python -m bench.guests FILE`: write what a guest boots, to start one by hand.

Standard input has the commands that it runs at its start.
"""

import sys
from pathlib import Path

from bench.guests import image

if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(image.with_setup(sys.stdin.read().splitlines()))
