#!/usr/bin/env bash
# Mixed load for so many seconds: whether memory and connections stay where they are.
. "$(dirname "$0")/lib.sh"

say "Mixed load for $1 seconds"
exec cargo bench --quiet --locked --package server --bench bench -- soak "$1"
