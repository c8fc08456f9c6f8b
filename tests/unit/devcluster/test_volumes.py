"""Volumes as folders of files, replaced all at once."""

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devcluster.podrunner.volumes import replace_files

names = st.text("abc", min_size=1, max_size=2)
contents = st.dictionaries(names, st.binary(max_size=4), max_size=4)


def visible(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for entry in folder.iterdir()
        if not entry.name.startswith("..")
        for path in (entry.rglob("*") if entry.is_dir() else [entry])
        if not path.is_dir()
    }


@given(st.lists(contents, min_size=1, max_size=4))
@settings(max_examples=30)
def test_a_folder_shows_the_last_content_whatever_was_there_before(
    tmp_path_factory: pytest.TempPathFactory, versions: list[dict[str, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("volume")
    for version in versions:
        replace_files(folder, {name: (content, 0o644) for name, content in version.items()})
        assert visible(folder) == version
    assert (
        len([entry for entry in folder.iterdir() if entry.name.startswith("..") and not entry.is_symlink()])
        == 1
    )


def test_unchanged_content_is_not_written_again(tmp_path: Path) -> None:
    files = {"a/b": (b"1", 0o400), "c": (b"2", 0o644)}
    assert replace_files(tmp_path, files)
    assert not replace_files(tmp_path, files)
    assert replace_files(tmp_path, {"c": (b"3", 0o644)})
    assert visible(tmp_path) == {"c": b"3"}


def test_a_reader_finds_the_new_content_behind_a_link_that_it_has_followed_before(tmp_path: Path) -> None:
    replace_files(tmp_path, {"token": (b"old", 0o640)})
    path = tmp_path / "token"
    assert (path.is_symlink(), path.read_bytes()) == (True, b"old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    replace_files(tmp_path, {"token": (b"new", 0o640)})
    assert path.read_bytes() == b"new"
