#!/usr/bin/env bash
# Builds for development and serves, again at every change.
. "$(dirname "$0")/lib.sh"

exec cargo leptos watch
