#!/bin/sh
# Install the outside clients beside this file: Node packages with their lock file, Python ones in a venv of their own.
set -eu
cd "$(dirname "$0")"
npm ci --no-audit --no-fund --loglevel=error
test -x .venv/bin/python || python3 -m venv .venv
.venv/bin/pip install --quiet --requirement requirements.txt
