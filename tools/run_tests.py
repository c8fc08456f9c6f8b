"""All tests in two halves at once, one for each of two cores; called by `make test`.

The end-to-end tests mostly wait for real lags; the others compute beside them. The second half's output
follows the first's, so that neither is torn. Ctrl-C ends both.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HALVES = (("tests/e2e",), ("tests/unit", "tests/component", "tests/contract", "tests/integration"))


def main() -> int:
    """Run both halves with the options given; the status is 0 if both are."""
    pytest = [sys.executable, "-m", "pytest"]
    with tempfile.TemporaryDirectory() as folder:
        told_later = Path(folder) / "second-half"
        with told_later.open("wb") as output:
            second = subprocess.Popen(  # noqa: S603 - this very interpreter
                [*pytest, "-p", "no:cacheprovider", *HALVES[1], *sys.argv[1:]],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        with second:
            first = subprocess.run([*pytest, *HALVES[0], *sys.argv[1:]], check=False)  # noqa: S603 - likewise
            print("The other half: tests without the whole chain …", flush=True)
            status = second.wait()
        sys.stdout.write(told_later.read_text())
    return first.returncode or status


if __name__ == "__main__":
    sys.exit(main())
