#!/usr/bin/env bash
# Removes what was built and fetched into this folder. The data in .vestry stays, and so do the tools in the cache.
. "$(dirname "$0")/lib.sh"

cargo clean --quiet
rm -rf target style/node_modules style/public/fonts end2end/node_modules end2end/test-results end2end/playwright-report
