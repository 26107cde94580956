#!/usr/bin/env bash
# Serves with the release binary.
. "$(dirname "$0")/lib.sh"

exec "$(target_dir)/release/vestry"
