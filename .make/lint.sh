#!/usr/bin/env bash
# What can be said about the code without running it.
. "$(dirname "$0")/lib.sh"

say "Checking the format"
cargo fmt --check || die "The code is not formatted: run 'cargo fmt', then make again."

.make/crate-graph.sh
.make/circles.sh

say "Checking licences and sources of the dependencies"
cargo deny --log-level error --config .deny.toml check --hide-inclusion-graph licenses bans sources ||
    die "A dependency is not allowed: look at the lines above, and at .deny.toml."

.make/advisories.sh if-reachable

say "Looking over the code with clippy, the server's and the browser's; some minutes the first time"
# shellcheck disable=SC2086
cargo clippy --quiet --locked $server_crates --all-targets -- --deny warnings ||
    die "clippy objects: look at the lines above."
cargo clippy --quiet --locked --package frontend --target wasm32-unknown-unknown -- --deny warnings ||
    die "clippy objects to the browser's part: look at the lines above."

.make/sqlx.sh check
