#!/bin/sh
# Records the demo's journey and draws the README's picture from it: screenshots.sh WORKBENCH
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" demo --headless --session "$work/session"
"$1" screenshot "$work/session" -o .docs/demo.svg --size 132x38 --select stage2.unit4
