"""Runs the command line: ``python -m makemore_cpp``."""

from makemore_cpp.cli.main import main

if __name__ == "__main__":
    main()
