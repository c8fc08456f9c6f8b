"""`python -m openloop`."""

from openloop.program import main

if __name__ == "__main__":
    main()
