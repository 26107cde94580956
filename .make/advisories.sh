#!/usr/bin/env bash
# Fails when RustSec has published an advisory for a dependency in Cargo.lock. Fetches its database: needs the network,
# and can fail without any change here, so `make lint` leaves it out.
. "$(dirname "$0")/lib.sh"

say "Checking the dependencies against RustSec's advisories"
cargo deny --log-level error --config .deny.toml check --hide-inclusion-graph advisories ||
    die "A dependency has an advisory, or the database could not be fetched: look at the lines above. Update the dependency, or say in .deny.toml why it does not apply."
