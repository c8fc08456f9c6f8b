"""`python -m tunnelpool` is the command line."""

from tunnelpool.cli import main

main()
