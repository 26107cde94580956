#!/usr/bin/env bash
# A Chromium for the browser tests; prints its path, or nothing when it is Playwright's own.
. "$(dirname "$0")/lib.sh"

installed() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        # Ubuntu's chromium is a snap, which cannot read the folders that tests use.
        if have $name && ! readlink -f "$(command -v $name)" | grep -q /snap; then
            command -v $name
            return
        fi
    done
    name="/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    [ -x "$name" ] && echo "$name"
}

# Playwright keeps its browsers in a cache; a mark says that its Chromium is there.
mark=end2end/node_modules/.vestry-browser
installed && exit
[ -e $mark ] && exit

# Debian packs it; Ubuntu only a pointer to the snap. All of it is read: who stops early fails whoever writes.
packed() { apt-cache show chromium 2>/dev/null | grep '^Depends:.*libc6' >/dev/null; }
if have apt-get && can_be_root && { packed || { as_root apt-get update -qq >/dev/null 2>&1 && packed; }; }; then
    say "Installing Chromium for the browser tests (package chromium); about a minute" >&2
    apt_install chromium >&2 && installed && exit
fi
say "Fetching Chromium for the browser tests by Playwright; about a minute" >&2
(cd end2end && within 600 npx playwright install chromium) >&2 ||
    die "No browser for the tests: install Chromium or Google Chrome, then run make again."
touch $mark
