"""What is built, with which flags, and the cache key that follows from it."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2]

# CGO off: static programs that run wherever the cache is mounted. GOTOOLCHAIN=local: the Go that was found
# is the Go that builds, never one that it downloads. GOGC=400 trades memory (2.6 GB at link) for a minute.
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOGC": "400", "GOFLAGS": "-mod=readonly"}


@dataclass(frozen=True)
class Recipe:
    """One `go build`.

    `folder` is the Go module, `packages` what is built of it (each program is named after the last element of
    its path unless `program` says otherwise), `require` the module whose version is stamped into `stamps`,
    linker variables in which `{version}`, `{major}` and `{minor}` are filled in.
    """

    name: str
    folder: Path
    packages: tuple[str, ...]
    require: str
    stamps: tuple[tuple[str, str], ...] = ()
    program: str | None = None

    @property
    def programs(self) -> tuple[str, ...]:
        """The file names that a build yields."""
        if self.program:
            return (self.program,)
        return tuple(package.rsplit("/", 1)[-1] for package in self.packages)

    @property
    def version(self) -> str:
        """The version of `require` in go.mod, e.g. `v1.37.2`."""
        text = (self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(self.require)} (v\S+)", text, re.MULTILINE)
        if not found:
            raise ValueError(f"{self.folder / 'go.mod'} does not require {self.require}")
        return found[1]

    @property
    def arguments(self) -> tuple[str, ...]:
        """`go build` arguments, without the output path."""
        version = self.version
        major, minor = version.removeprefix("v").split(".")[:2]
        stamps = (
            f"-X {variable}={value.format(version=version, major=major, minor=minor)}"
            for variable, value in self.stamps
        )
        # -buildvcs=false: the programs do not depend on the state of this repository.
        return ("-trimpath", "-buildvcs=false", "-ldflags", " ".join(("-s", "-w", *stamps)), *self.packages)

    @property
    def key(self) -> str:
        """`<name>-<12 hex digits>`: changes with go.mod, go.sum, the flags and the machine's architecture."""
        digest = hashlib.sha256()
        for part in (
            (self.folder / "go.mod").read_bytes(),
            (self.folder / "go.sum").read_bytes(),
            json.dumps([self.arguments, self.programs, BUILD_ENVIRONMENT, os.uname().machine]).encode(),
        ):
            digest.update(hashlib.sha256(part).digest())
        return f"{self.name}-{digest.hexdigest()[:12]}"


def _kubernetes_stamps() -> tuple[tuple[str, str], ...]:
    """Name the version variables as hack/lib/version.sh sets them, in both copies of the package.

    One feeds `/version` and kubectl's skew check, the other client-go's User-Agent.
    """
    values = (("gitVersion", "{version}"), ("gitMajor", "{major}"), ("gitMinor", "{minor}"))
    return tuple(
        (f"{package}.{variable}", value)
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for variable, value in (*values, ("gitTreeState", "clean"))
    )


KUBERNETES = Recipe(
    name="kubernetes",
    folder=TOOLS / "kubernetes",
    packages=(
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kubectl",
    ),
    require="k8s.io/kubernetes",
    stamps=_kubernetes_stamps(),
)
ETCD = Recipe(
    name="etcd",
    folder=TOOLS / "etcd",
    packages=("go.etcd.io/etcd/server/v3",),
    require="go.etcd.io/etcd/server/v3",
    program="etcd",
)
HELM = Recipe(
    name="helm",
    folder=TOOLS / "helm",
    packages=("helm.sh/helm/v4/cmd/helm",),
    require="helm.sh/helm/v4",
    stamps=(("helm.sh/helm/v4/internal/version.version", "{version}"),),
)
RECIPES = {recipe.name: recipe for recipe in (ETCD, KUBERNETES, HELM)}


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """`TUNNELPOOL_CACHE`, else `${XDG_CACHE_HOME:-~/.cache}/tunnelpool`."""
    if chosen := environ.get("TUNNELPOOL_CACHE"):
        return Path(chosen).absolute()
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "tunnelpool"
