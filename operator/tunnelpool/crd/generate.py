"""Write what is generated from the models into a checkout: `python -m tunnelpool.crd.generate [ROOT]`.

`crds/`, the chart's templates of them, and `docs/resources.md`. `install.yaml` is rendered from the chart,
see `helm/render-install`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tunnelpool.crd.manifests import HEADER, crd_manifests, render
from tunnelpool.crd.reference import reference

CHART_TEMPLATES: Final = "helm/tunnelpool/templates/crds"

_GUARD: Final = "{{- if .Values.crds.enabled }}\n"
_ANNOTATIONS: Final = """\
metadata:
  annotations:
    {{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with .Values.crds.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "tunnelpool.labels" . | nindent 4 }}
"""


def generated() -> dict[str, str]:
    """Write every generated file, by its path from the root of the checkout.

    Raises:
        ValueError: a definition holds text that Helm would take for a template.

    """
    files = {f"crds/{name}": text for name, text in render().items()}
    files |= {f"{CHART_TEMPLATES}/{name}": _template(text) for name, text in render().items()}
    return {**files, "docs/resources.md": reference(crd_manifests())}


def _template(text: str) -> str:
    """Wrap a definition for the chart: only where wanted, kept on uninstall, with labels."""
    if "{{" in text:
        raise ValueError("a CustomResourceDefinition must not hold '{{': Helm would take it for a template")
    body = text.removeprefix(HEADER).replace("metadata:\n", _ANNOTATIONS, 1)
    return f"{HEADER}{_GUARD}{body}{{{{- end }}}}\n"


def main(root: Path) -> None:
    """Write the files and remove definitions that are no longer generated."""
    files = generated()
    for folder in ("crds", CHART_TEMPLATES):
        for old in (root / folder).glob("*.yaml"):
            if f"{folder}/{old.name}" not in files:
                old.unlink()
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
