#!/usr/bin/env bash
# Everything: what lint.sh says, the Rust tests against a real PostgreSQL, and the browser against the release binary.
. "$(dirname "$0")/lib.sh"

.make/lint.sh

say "Running the Rust tests; some minutes to compile the first time"
# A PostgreSQL of the run's own, started before and stopped after; lint.sh has built what does it.
beside=$(target_dir)/debug/examples/with-postgres
# shellcheck disable=SC2086
if have cargo-nextest; then
    "$beside" cargo nextest run --locked $server_crates || die "A Rust test failed: look at the lines above."
    cargo test --locked --quiet --doc $server_crates || die "An example in the documentation failed: look at the lines above."
else
    "$beside" cargo test --locked $server_crates || die "A Rust test failed: look at the lines above."
fi

.make/build.sh

say "Running the browser tests against the release binary"
browser=$(.make/browser.sh)
(cd end2end && VESTRY_BINARY=$(cd .. && target_dir)/release/vestry CHROMIUM=$browser npx playwright test) ||
    die "A browser test failed: look at the lines above; 'cd end2end && npx playwright show-report' shows pictures."
