#!/usr/bin/env bash
# The standard library for WebAssembly: by rustup, and where its server cannot be reached, or there is no rustup, built
# from the library's source. VESTRY_RUST_LIBRARY may name a .tar.xz that holds it (the folder library/ of Rust's source).
. "$(dirname "$0")/lib.sh"

target=wasm32-unknown-unknown
sysroot=$(rustc --print sysroot)
rustlib=$sysroot/lib/rustlib
version=$(rustc --version | cut -d' ' -f2)

present() { ls "$rustlib/$target/lib"/libstd-*.rlib >/dev/null 2>&1; }

present && exit

if have rustup && rustup which rustc 2>/dev/null | grep -q "^$sysroot/"; then
    say "Adding the WebAssembly target to Rust $version by rustup, for the browser's part; some seconds"
    within 120 rustup target add $target >/dev/null 2>&1 || true
    present && exit
    note "rustup could not fetch it: building it from source"
fi

# Debian's own rustc has a package for it; only the package manager should write there.
if have dpkg && dpkg -S "$(readlink -f "$(command -v rustc)")" >/dev/null 2>&1; then
    say "Installing the WebAssembly target of Debian's Rust (package libstd-rust-dev-wasm32)"
    can_be_root || die "The WebAssembly target is missing: run 'apt-get install libstd-rust-dev-wasm32' as root, then make again."
    apt_install libstd-rust-dev-wasm32 || die "apt-get could not install libstd-rust-dev-wasm32: install it by hand, then run make again."
    present && exit
fi

mkdir -p "$rustlib/$target/lib" 2>/dev/null ||
    die "The WebAssembly target is missing and $rustlib cannot be written: run '.make/wasm-target.sh' once as its owner, or use a toolchain of rustup's."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Debian packs the source of several versions: pick the one of this rustc, whatever release it stands in. The archive is
# the one this machine uses; lists and caches are our own, so nothing of the machine changes.
from_debian() {
    have apt-get && have dpkg || return 1
    local archive key
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | sort -u | sed -n 1p)
    key=$(ls /usr/share/keyrings/debian-archive-keyring.gpg 2>/dev/null || true)
    [ -n "$archive" ] && [ -n "$key" ] || return 1
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    for suite in trixie-backports testing unstable; do
        echo "deb [signed-by=$key] $archive $suite main"
    done >"$work/apt/sources.list"
    set -- -o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root \
        -o Acquire::Languages=none -o APT::Get::List-Cleanup=0
    within 180 apt-get "$@" update -qq >/dev/null 2>&1 || true
    local package
    package=$(apt-cache "$@" madison rust-src 2>/dev/null | awk -v version="$version" '{ split($3, upstream, /[+-]/) } upstream[1] == version { print $3; exit }')
    [ -n "$package" ] || return 1
    (cd "$work" && within 300 apt-get "$@" download -qq "rust-src=$package" >/dev/null 2>&1 && dpkg -x rust-src_*.deb unpacked) || return 1
    library=$work/unpacked/usr/src/rustc-$version/library
    [ -d "$library" ]
}

from_archive() {
    [ -n "${VESTRY_RUST_LIBRARY:-}" ] || return 1
    [ -f "$VESTRY_RUST_LIBRARY" ] || die "VESTRY_RUST_LIBRARY names $VESTRY_RUST_LIBRARY, which is not there: unset it or correct it."
    case $VESTRY_RUST_LIBRARY in
    *"$version"*) ;;
    *) note "VESTRY_RUST_LIBRARY is not of Rust $version: left aside" && return 1 ;;
    esac
    tar -xf "$VESTRY_RUST_LIBRARY" -C "$work" && library=$work/library
}

say "Building Rust $version's standard library for WebAssembly from source; about a minute"
source=$rustlib/src/rust/library
library=
if [ ! -e "$source/Cargo.lock" ]; then
    from_archive || from_debian || die "The source of Rust $version's standard library could not be fetched: run 'rustup target add $target' where rustup's server can be reached, or name an archive of it in VESTRY_RUST_LIBRARY."
    mkdir -p "$rustlib/src/rust"
    # It is borrowed for this build; rustup would stumble over it when asked for rust-src.
    trap 'rm -rf "$work" "$source"' EXIT
    cp -R "$library" "$source"
    # An archive may come without the library's own tests, which its workspace lists.
    for member in coretests alloctests; do
        [ -d "$source/$member" ] && continue
        grep -v "^ *\"$member\",$" "$source/Cargo.toml" >"$work/Cargo.toml"
        cp "$work/Cargo.toml" "$source/Cargo.toml"
    done
fi

mkdir -p "$work/empty/src"
cat >"$work/empty/Cargo.toml" <<'TOML'
[package]
name = "empty"
version = "0.0.0"
edition = "2021"
[workspace]
TOML
: >"$work/empty/src/lib.rs"
(
    cd "$work/empty"
    # The release build links with LTO, which needs the bitcode that cargo leaves out by itself.
    env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$work/target" RUSTC_BOOTSTRAP=1 \
        cargo build --quiet --release -Z build-std=std,panic_abort,test --target $target
) || die "Rust's standard library for WebAssembly could not be built: look at the lines above; when the network was the reason, run make again."

for file in "$work/target/$target/release/deps"/lib*.rlib; do
    case $file in
    */libempty-*) ;;
    *) cp "$file" "$rustlib/$target/lib/" ;;
    esac
done
present || die "The WebAssembly target was built but is not in $rustlib: run 'rustup target add $target' instead."
