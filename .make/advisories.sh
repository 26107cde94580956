#!/usr/bin/env bash
# Fails when RustSec has published an advisory for a dependency in Cargo.lock. Its database is a git repository, which cannot
# be reached from everywhere: `advisories.sh if-reachable` leaves the check out then.
. "$(dirname "$0")/lib.sh"

say "Checking the dependencies against RustSec's advisories"
if ! within 60 cargo deny --log-level off --config .deny.toml fetch db >/dev/null 2>&1; then
    [ "${1:-}" = if-reachable ] || die "The database of advisories could not be fetched: check the network, then run make again."
    note "the database of advisories cannot be reached from here: not checked"
    exit
fi
cargo deny --offline --log-level error --config .deny.toml check --hide-inclusion-graph advisories ||
    die "A dependency has an advisory: update it, or say in .deny.toml why it does not apply."
