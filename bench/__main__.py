"""`python -m bench`: the same as the command `vnetbench`."""

from bench.cli import main

if __name__ == "__main__":
    main()
