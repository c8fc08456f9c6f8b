#!/bin/sh
# Runs a command and says how long it took: timed.sh NAME COMMAND…
name=$1
shift
begun=$(date +%s)
status=0
"$@" || status=$?
echo "$name took $(($(date +%s) - begun)) s (status $status)"
exit $status
