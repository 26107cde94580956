#!/usr/bin/env bash
# Builds for development and serves; builds again at every change and reloads the browser, or swaps its stylesheet.
. "$(dirname "$0")/lib.sh"

# cargo-leptos waits until the server answers here before it tells the browser to reload.
export LEPTOS_SITE_ADDR=${VESTRY_ADDR:-127.0.0.1:3000}
exec cargo leptos watch
