#!/usr/bin/env bash
# Kills processes at random under load, restarts and kills PostgreSQL in between, restores the registry from a dump that
# is older than some churches, and says what was lost: nothing. SEED, as an earlier run has printed it, does the same
# again, as far as time allows.
. "$(dirname "$0")/lib.sh"

say "Killing ${KILLS:=50} processes under load; about a second for each, and two minutes until all is quiet"
# In the profile of the tests, so that what they have built is used again.
# shellcheck disable=SC2086
cargo bench --quiet --locked --profile dev $server_crates --bench chaos -- --kills "$KILLS" ${SEED:+--seed "$SEED"} ||
    die "Something was lost, or was left over: look at the lines above; what the processes said is in $(target_dir)/tmp/chaos.log."
