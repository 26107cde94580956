#!/usr/bin/env bash
# Every figure beside its floor, measured in the same run.
. "$(dirname "$0")/lib.sh"

say "Measuring; at most ten minutes, and better with nothing else running"
exec cargo bench --quiet --locked --package server --bench bench
