#!/bin/sh
# Resolves requirements/*.lock anew: hashes, every platform, releases at least seven days old
# (a malicious release is mostly found within days). Called by `make lock`.
set -eu
cd "$(dirname "$0")/.."
before=$(date -u -d '7 days ago' +%Y-%m-%dT00:00:00Z)
export UV_CUSTOM_COMPILE_COMMAND="make lock"
compile() {
  "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
    --no-emit-index-url --no-emit-find-links --exclude-newer "$before" pyproject.toml "$@"
}
compile --output-file requirements/operator.lock
compile --extra edge --group dev --constraints requirements/operator.lock --output-file requirements/dev.lock
