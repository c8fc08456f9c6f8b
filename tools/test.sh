#!/bin/sh
# All tests in two halves at once, one for each of two cores: what needs a cluster beside what does not.
# The first half's output follows the second's, so that neither is torn. Called by `make test`.
set -u
pytest=$1
shift
light=$(mktemp)
trap 'rm -f "$light"' EXIT
"$pytest" -p no:cacheprovider tests/unit tests/component tests/contract "$@" >"$light" 2>&1 &
pid=$!
heavy_status=0
"$pytest" tests/e2e tests/integration "$@" || heavy_status=$?
light_status=0
wait "$pid" || light_status=$?
cat "$light"
test "$heavy_status" -eq 0 && test "$light_status" -eq 0
