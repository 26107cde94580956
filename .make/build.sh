#!/usr/bin/env bash
# The release binary with all its assets inside, when something it is made of has changed.
. "$(dirname "$0")/lib.sh"

binary=$(target_dir)/release/vestry
stamp=$binary.made-of
made_of="$PWD $(rustc --version) cargo-leptos $cargo_leptos wasm-bindgen $wasm_bindgen $(checksum style/package-lock.json)"

up_to_date() {
    [ -x "$binary" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$made_of" ] && [ ! "$binary" -nt "$stamp" ] || return 1
    local newer
    newer=$(find Cargo.toml Cargo.lock .cargo app frontend server style registry-migrations tenant-migrations \
        \( -name node_modules -o -path server/tests -o -path server/benches \) -prune -o -newer "$stamp" -print | sed -n 1p)
    [ -z "$newer" ]
}

if up_to_date; then
    note "$binary is up to date"
    exit
fi

say "Building the browser's part, the stylesheet and the server; about 10 minutes the first time, a minute or two after a change"
cargo leptos build --release --precompress || die "The build failed: look at the lines above."
[ -x "$binary" ] || die "The build ended without $binary: look at the lines above."
echo "$made_of" >"$stamp"
