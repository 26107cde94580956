#!/usr/bin/env bash
# The walls of the house: which crate may not see which, with every dependency of its dependencies.
. "$(dirname "$0")/lib.sh"

# forbid WHO "PATTERN" [cargo tree's arguments…]: fails when one of the crates in WHO's tree is called like that.
forbid() {
    local who=$1 pattern=$2 crates seen
    shift 2
    crates=$(cargo tree --quiet --locked --package "$who" --prefix none --format '{p}' "$@") ||
        die "The crates of $who could not be listed: look at the line above."
    seen=$(printf '%s\n' "$crates" | cut -d' ' -f1 | grep -v "^$who\$" | grep -xE "$pattern" | sort -u | paste -sd ' ' -) || true
    [ -z "$seen" ] || die "$who may not depend on $seen: run 'cargo tree -p $who -i ${seen%% *} $*' to see through what, and take it out."
}

servers_own='sqlx(-.*)?|registry|tenant|identity|embedded|server'

say "Checking the walls between the crates"
forbid frontend "$servers_own|tokio" --edges normal --target wasm32-unknown-unknown
forbid domain "$servers_own|tokio|leptos|axum|app" --edges normal,build,dev --target all
forbid app "$servers_own" --edges normal --target all
forbid app "$servers_own|tokio" --edges normal --target wasm32-unknown-unknown --features hydrate
forbid registry 'tenant|identity|app|server' --edges normal,build,dev --target all
forbid tenant 'registry|identity|app|server' --edges normal,build,dev --target all
