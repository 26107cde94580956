#!/usr/bin/env bash
# Gets what is missing to build and run Vestry: `setup.sh run`, or to test it as well: `setup.sh test`. `setup.sh advisories`
# gets cargo-deny only.
# What is there already costs a look: no network, about a second.
. "$(dirname "$0")/lib.sh"

for_what=${1:-run}

compilers() {
    have cargo || die "Rust is missing: install version $oldest_rust or newer, by rustup or by your system's packages, then run make again."
    rust=$(rustc --version | cut -d' ' -f2)
    [ "$(comparable "$rust")" -ge "$(comparable $oldest_rust)" ] ||
        die "Rust $oldest_rust or newer is needed and this is $rust: run 'rustup update stable', or install it by rustup."
    have node && have npm || die "Node.js is missing: install version $oldest_node or newer with npm, then run make again."
    node=$(node --version)
    [ "$(comparable "$node")" -ge "$(comparable $oldest_node)" ] ||
        die "Node.js $oldest_node or newer is needed and this is $node: install a newer one."

    # Some crates hold C, and cargo-leptos builds its own OpenSSL with perl.
    if have cc && have perl; then return; fi
    if have apt-get && can_be_root; then
        say "Installing a C compiler and perl (packages build-essential, perl): some crates are built with them"
        apt_install build-essential perl || die "apt-get could not install build-essential and perl: install them by hand, then run make again."
    elif [ "$(uname)" = Darwin ]; then
        die "The C compiler is missing: run 'xcode-select --install', then make again."
    else
        die "A C compiler and perl are needed: install them with your system's packages (build-essential and perl on Debian), then run make again."
    fi
}

# cargo_tool NAME VERSION WHY TIME [cargo install's arguments…]
cargo_tool() {
    local name=$1 version=$2 why=$3 time=$4
    shift 4
    local folder=$tools/$name-$version build=$tools/.build/$name-$version
    [ -d "$folder/bin" ] && return
    say "Building $name $version, $why; $time on two cores, once"
    mkdir -p "$tools" || die "The folder $tools cannot be written: make it writable, or name another in XDG_CACHE_HOME."
    # Speed of building counts here, not of the tool. An interrupted build goes on where it was. The person's own
    # target folder and flags are none of its business.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=true \
        cargo install --quiet --no-track --root "$build/root" --target-dir "$build/target" "$name@$version" "$@" ||
        die "$name $version could not be built: look at the lines above; when the network was the reason, run make again."
    mkdir -p "$folder"
    mv "$build/root/bin" "$folder/bin"
    rm -rf "$build"
}

cargo_deny() {
    cargo_tool cargo-deny $cargo_deny "which checks the licences of dependencies" "about 4 minutes" --locked
}

cargo_tools() {
    cargo_tool cargo-leptos $cargo_leptos "which builds the browser's and the server's part together" "about 7 minutes" \
        --locked --features no_downloads
    cargo_tool wasm-bindgen-cli "$wasm_bindgen" "which joins WebAssembly and JavaScript" "about a minute"
    if [ "$for_what" = test ]; then cargo_deny; fi
}

# npm_packages FOLDER WHAT: what its lock file names, when that has changed.
npm_packages() {
    local folder=$1 what=$2
    local stamp=$folder/node_modules/.vestry wanted
    wanted="$(checksum "$folder/package-lock.json") $(node --version) $(uname -sm)"
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    say "Fetching $what; some seconds"
    (cd "$folder" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
        die "npm could not fetch the packages of $folder/: check the network, then run make again."
    echo "$wanted" >"$stamp"
}

fonts() {
    [ style/public/fonts/inter-latin.woff2 -nt style/node_modules/.vestry ] && return
    say "Copying the two typefaces into style/public/fonts"
    node style/fonts.mjs
}

compilers
if [ "$for_what" = advisories ]; then
    cargo_deny
    exit
fi
.make/wasm-target.sh
cargo_tools
npm_packages style "Tailwind, wasm-opt and the typefaces"
fonts
.make/postgres.sh
if [ "$for_what" = test ]; then
    .make/python.sh
    npm_packages end2end "Playwright and axe"
    .make/browser.sh >/dev/null
fi
