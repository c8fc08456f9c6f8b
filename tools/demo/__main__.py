"""`python -m demo`: the demo, and with `--keep` a playground."""

from demo.cli import main

if __name__ == "__main__":
    main()
