#!/usr/bin/env bash
# Everything: what lint.sh says, the Rust tests against a real PostgreSQL, and the browser against the release binary.
. "$(dirname "$0")/lib.sh"

server_crates="--package server --package registry --package tenant --package identity --package embedded --package app"

.make/lint.sh

say "Running the Rust tests; some minutes to compile the first time"
# shellcheck disable=SC2086
if have cargo-nextest; then
    cargo nextest run --locked $server_crates --features app/ssr || die "A Rust test failed: look at the lines above."
    cargo test --locked --quiet --doc $server_crates --features app/ssr || die "An example in the documentation failed: look at the lines above."
else
    cargo test --locked $server_crates --features app/ssr || die "A Rust test failed: look at the lines above."
fi

.make/build.sh

say "Running the browser tests against the release binary"
browser=$(.make/browser.sh)
(cd end2end && VESTRY_BINARY=$(cd .. && target_dir)/release/vestry CHROMIUM=$browser npx playwright test) ||
    die "A browser test failed: look at the lines above; 'cd end2end && npx playwright show-report' shows pictures."
