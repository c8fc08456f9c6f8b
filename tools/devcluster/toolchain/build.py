"""Runs `go build` once for all: shared by concurrent runs, whole or not there at all."""

import os
import shutil
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path

from devcluster.processes import Launch, start_piped
from devcluster.toolchain.golang import find_go
from devcluster.toolchain.locking import exclusive
from devcluster.toolchain.progress import Progress
from devcluster.toolchain.recipe import BUILD_ENVIRONMENT, Recipe, cache_root

GoFinder = Callable[[Path], Path]
ERROR_LINES = 25


class BuildError(RuntimeError):
    """`go` ended with an error; the message has its last lines."""


def ensure_built(recipe: Recipe, cache: Path | None = None, go: GoFinder = find_go) -> Path:
    """Return the folder with the programs of `recipe`, built now if the cache lacks it.

    The folder appears by one rename, so it is complete whenever it exists. Raises BuildError.
    """
    cache = cache or cache_root()
    folder = cache / "bin" / recipe.key
    if folder.is_dir():
        return folder
    with Progress(f"building {recipe.name} {recipe.version}") as progress:

        def say_waiting() -> None:
            progress.detail = "waiting for another run that builds it"

        with exclusive(folder.with_suffix(".lock"), say_waiting):
            if not folder.is_dir():
                unfinished = folder.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed outright
                unfinished.mkdir()
                try:
                    _build(recipe, go(cache), unfinished, progress)
                    unfinished.rename(folder)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _build(recipe: Recipe, go: Path, output: Path, progress: Progress) -> None:
    packages = fetched = compiled = 0

    def listed(line: str) -> None:
        nonlocal packages, fetched
        if line.startswith("go: "):
            fetched += line.startswith("go: downloading ")
        else:
            packages += 1
        progress.detail = f"fetching modules, {fetched} so far"

    def built(line: str) -> None:
        nonlocal compiled
        if line and line[0] not in "#\t ":  # -v prints the import path of each package that it compiles
            compiled += 1
            progress.detail = f"{compiled} of at most {packages} packages compiled"

    progress.detail = "fetching modules"
    _run_go([go, "list", "-deps", *recipe.packages], recipe.folder, listed)
    progress.detail = f"{packages} packages"
    # Without a name etcd's program would be called `v3`; several packages need a folder instead.
    target = output / recipe.program if recipe.program else f"{output}{os.sep}"
    _run_go([go, "build", "-v", "-o", target, *recipe.arguments], recipe.folder, built)
    missing = [name for name in recipe.programs if not os.access(output / name, os.X_OK)]
    if missing:
        raise BuildError(f"go build of {recipe.name} ended without error but left no {', '.join(missing)}")


def _run_go(command: list[str | Path], folder: Path, on_line: Callable[[str], None]) -> None:
    """Run `go`, handing on each line of both its outputs; when interrupted, end it and its compilers."""
    last: deque[str] = deque(maxlen=ERROR_LINES)
    environment = {**os.environ, **BUILD_ENVIRONMENT}
    with start_piped(Launch([str(part) for part in command], environment, str(folder))) as process:
        try:
            for line in process.stdout or ():
                last.append(line.rstrip())
                on_line(line.rstrip())
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        text = "\n".join(filter(None, last))
        raise BuildError(
            f"{' '.join(map(str, command[:2]))} in {folder} ended with {process.returncode}:\n{text}"
        )
