# Shared by the scripts of this folder, which the Makefile calls. Read with `.`; works with the bash 3.2 of macOS.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What is built with, to the exact version. wasm-bindgen has to be that of the crate in the lock file.
cargo_leptos=0.3.10
cargo_deny=0.20.2
wasm_bindgen=$(awk -F'"' '/^name = "wasm-bindgen"$/ { getline; print $2 }' Cargo.lock)
oldest_rust=$(awk -F'"' '$1 == "rust-version = " { print $2; exit }' Cargo.toml)
oldest_node=20
oldest_python=3.10

# What runs on the server, always named together: the dependencies are then compiled once, with the same features, for
# whatever cargo is asked to do. Never --workspace: frontend is the browser's, and its features must not meet these.
server_crates="--package server --package registry --package tenant --package identity --package embedded --package app --package domain --features app/ssr"

# What a set of files holds, as one word.
checksum() { cat "$@" | cksum | tr ' ' '-'; }

# Tools of our own stand in a folder per version, so that the person's are left alone and a second clone finds them.
tools=${XDG_CACHE_HOME:-${HOME:?is not set: it says where tools are kept}/.cache}/vestry/tools
python=$tools/python-$(checksum .make/requirements.txt)
PATH=$python/bin:$tools/cargo-leptos-$cargo_leptos/bin:$tools/wasm-bindgen-cli-$wasm_bindgen/bin:$tools/cargo-deny-$cargo_deny/bin:$PWD/style/node_modules/.bin:$PATH
export PATH

# The bare words of a step, of a remark, and of what went wrong with its remedy.
say() { printf '▸ %s\n' "$*"; }
note() { printf '  %s\n' "$*"; }
die() {
    printf '✗ %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# The first two numbers of a version as one that can be compared: 1.95.0 -> 1095.
comparable() { printf '%s\n' "$1" | sed 's/^[^0-9]*//' | awk -F'[^0-9]+' '{ printf "%d\n", $1 * 1000 + $2 }'; }

# Runs a command for at most so many seconds; macOS has no `timeout`.
within() {
    if have timeout; then timeout "$@"; else perl -e 'alarm shift; exec @ARGV or exit 127' "$@"; fi
}

target_dir() {
    cargo metadata --no-deps --offline --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# As root, or through sudo, which asks for the password itself when there is a terminal to ask on.
can_be_root() { [ "$(id -u)" = 0 ] || { have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; }
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        note "with sudo: $*"
        sudo "$@"
    fi
}

# Debian's packages; the lists are fetched anew only when the first try fails.
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    as_root apt-get update -qq >/dev/null 2>&1 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
