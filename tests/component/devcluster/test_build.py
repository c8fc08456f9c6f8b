"""Builds with a stand-in for Go: shared, whole or not there at all, and telling how far they are."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from devcluster.testing import eventually
from devcluster.toolchain.build import BuildError, ensure_built
from devcluster.toolchain.progress import Progress
from devcluster.toolchain.recipe import Recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("require (\n\texample.com/thing v1.2.3\n)\n")
    (module / "go.sum").write_text("sum\n")
    return Recipe("thing", module, ("example.com/thing/cmd/tool",), "example.com/thing")


FakeGo = Callable[[str], Callable[[Path], Path]]


@pytest.fixture
def go(tmp_path: Path) -> FakeGo:
    """Make a Go that lists three packages, notes each build in `builds` and then does as it is told."""

    def make(build: str) -> Callable[[Path], Path]:
        script = tmp_path / "go"
        script.write_text(
            textwrap.dedent(f"""\
            #!/bin/sh
            if [ "$1" = list ]; then echo "go: downloading x v1" >&2; printf 'a\\nb\\nc\\n'; exit; fi
            while [ "$1" != -o ]; do shift; done
            out=$2
            echo build >> {tmp_path}/builds
            {build}
            """)
        )
        script.chmod(0o755)
        return lambda _: script

    return make


GOOD = 'echo a >&2; echo b >&2; echo program > "$out/tool"; chmod +x "$out/tool"'


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "bin").iterdir() if path.suffix != ".lock")


def test_a_program_is_built_once_and_then_found_in_the_cache(
    recipe: Recipe, go: FakeGo, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    folder = ensure_built(recipe, cache, go(GOOD))
    assert folder == cache / "bin" / recipe.key
    assert (folder / "tool").read_text() == "program\n"
    assert ensure_built(recipe, cache, go("exit 1")) == folder
    assert (tmp_path / "builds").read_text() == "build\n"
    assert leftovers(cache) == [recipe.key]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        ('echo half > "$out/tool"; echo "x.go:1: syntax error" >&2; exit 2', "ended with 2:\n.*syntax error"),
        ("true", "ended without error but left no tool"),
    ],
)
def test_a_failed_build_leaves_nothing_and_says_why(
    recipe: Recipe, go: FakeGo, tmp_path: Path, build: str, message: str
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(BuildError, match=f"(?s){message}"):
        ensure_built(recipe, cache, go(build))
    assert leftovers(cache) == []
    assert ensure_built(recipe, cache, go(GOOD)).is_dir()


def test_two_builds_at_once_are_one(recipe: Recipe, go: FakeGo, tmp_path: Path) -> None:
    cache, gate = tmp_path / "cache", tmp_path / "gate"
    os.mkfifo(gate)
    slow = go(f"cat {gate} > /dev/null; {GOOD}")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(ensure_built(recipe, cache, slow))) for _ in "ab"]
    for thread in threads:
        thread.start()
    eventually((tmp_path / "builds").exists)
    gate.write_text("")  # lets the one that builds go on
    for thread in threads:
        thread.join()
    assert found == [cache / "bin" / recipe.key] * 2
    assert (tmp_path / "builds").read_text() == "build\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_leaves_no_half_made_program_and_no_compiler(
    recipe: Recipe, go: FakeGo, tmp_path: Path, number: signal.Signals
) -> None:
    cache, gate = tmp_path / "cache", tmp_path / "gate"
    os.mkfifo(gate)
    script = go(f'echo half > "$out/tool"; echo $$ > {tmp_path}/pid; read line < {gate}')(cache)
    program = f"""
import signal, sys
from pathlib import Path
from devcluster.toolchain.build import ensure_built
from devcluster.toolchain.recipe import Recipe
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us may ignore it
recipe = Recipe("thing", Path({str(recipe.folder)!r}), ("example.com/thing/cmd/tool",), "example.com/thing")
ensure_built(recipe, Path({str(cache)!r}), lambda _: Path({str(script)!r}))
"""
    pid = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as run:  # noqa: S603 - ours
        eventually(lambda: pid.exists() and bool(pid.read_text().strip()))
        run.send_signal(number)
    compiler = Path("/proc") / pid.read_text().strip()
    eventually(lambda: not compiler.exists() or "Z" in (compiler / "stat").read_text().split())
    if number != signal.SIGKILL:
        assert leftovers(cache) == []
    assert ensure_built(recipe, cache, go(GOOD)).is_dir()
    assert leftovers(cache) == [recipe.key]


def test_progress_is_one_line_on_a_terminal_and_plain_lines_in_a_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, plain = io.StringIO(), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    for stream in (terminal, plain):
        with Progress("building thing", stream) as progress:
            progress.detail = "2 of 3"
            assert progress.line == "building thing: 2 of 3, 0 s"
    assert terminal.getvalue() == "\r\033[Kbuilding thing, 0 s\r\033[Kbuilding thing: done, 0 s\n"
    assert plain.getvalue() == "building thing, 0 s\nbuilding thing: done, 0 s\n"


def test_progress_says_that_it_stopped_short() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), Progress("building thing", stream):
        raise KeyError
    assert stream.getvalue().endswith("building thing: stopped, 0 s\n")
