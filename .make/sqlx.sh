#!/usr/bin/env bash
# The queries of server/registry and server/tenant, as a database that has just been migrated describes them, in
# server/*/.sqlx: `sqlx.sh` writes them anew, `sqlx.sh check` says whether they are what is committed.
. "$(dirname "$0")/lib.sh"

crates="registry tenant"
fresh=$(target_dir)/sqlx

psql_program() {
    local folder
    for folder in $(printf '%s\n' "$PATH" | tr ':' '\n') "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /Applications/Postgres.app/Contents/Versions/*/bin; do
        if [ -x "$folder/psql" ]; then
            echo "$folder/psql"
            return
        fi
    done
    die "psql is missing: install PostgreSQL, then run make again."
}

# migrate DATABASE FOLDER: each file in its own transaction, as sqlx does it.
migrate() {
    local file
    for file in "$2"/*.sql; do
        "$psql" --no-psqlrc --quiet --set ON_ERROR_STOP=1 --single-transaction --dbname "$1" --file "$file" >/dev/null ||
            die "$file does not run on an empty database: look at the line above."
    done
}

# Describes every query of one crate. sqlx's macros write what the server says when their crate is compiled; cargo
# compiles it when a source looks newer than the last time, and is shown the old time again afterwards.
describe() {
    local crate=$1 source=server/$1/src/lib.rs
    rm -rf "$fresh/$crate"
    mkdir -p "$fresh/$crate"
    touch -r "$source" "$fresh/$crate.time"
    touch "$source"
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$fresh/$crate cargo check --quiet --locked --package "$crate" ||
        die "The queries of $crate do not fit the migrations: look at the lines above."
    touch -r "$fresh/$crate.time" "$source"
}

# Called again by itself, beside a database.
if [ "${1:-}" = beside-postgres ]; then
    psql=$(psql_program)
    migrate "$REGISTRY_DATABASE_URL" registry-migrations
    # A church's tables stand in a schema of its own; every query finds them by the search path.
    "$psql" --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$TENANT_DATABASE_URL" >/dev/null \
        --command 'create schema church' --command 'alter database tenant set search_path = church'
    migrate "$TENANT_DATABASE_URL" tenant-migrations
    for crate in $crates; do describe "$crate"; done
    exit
fi

say "Asking a fresh PostgreSQL about every query"
# Not by `cargo run`: what that sets in the environment makes cargo build ring anew each time it is called underneath.
# shellcheck disable=SC2086
cargo build --quiet --locked $server_crates --example with-postgres || die "The build failed: look at the lines above."
"$(target_dir)/debug/examples/with-postgres" .make/sqlx.sh beside-postgres

for crate in $crates; do
    committed=server/$crate/.sqlx
    if [ "${1:-}" = check ]; then
        mkdir -p "$fresh/none"
        [ -d "$committed" ] || committed=$fresh/none
        diff --recursive --brief "$fresh/$crate" "$committed" ||
            die "The committed description of $crate's queries is out of date: run 'make sqlx' and commit server/*/.sqlx."
    else
        rm -rf "$committed"
        cp -R "$fresh/$crate" "$committed"
        note "$committed: $(find "$committed" -type f | wc -l | tr -d ' ') queries"
    fi
done
