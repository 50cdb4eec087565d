#!/bin/sh
# Runs the speed benchmarks and prints their table as Markdown. Names of groups as arguments run only those:
# scheduler, round-trips, in-flight, two-tabs, first, channels, pipelines, sessions, memory, failover,
# priority, batching, mixed, scaling, matrix.
#
# Sets up what it needs the first time: the peers' packages, and the cases for `matrix`, which the pinned onnx package
# makes. Wants `drivers/install.sh` to have run, a Chromium, node and Python; measures what an idle machine can do only
# on an idle machine.
set -eu

cd "$(dirname "$0")/../.."

installed=benchmarks/peers/node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ benchmarks/peers/package-lock.json -nt "$installed" ]; then
    npm ci --prefix benchmarks/peers --ignore-scripts >&2
fi

cases=benchmarks/results/node-cases
if [ ! -d "$cases" ]; then
    python=benchmarks/.venv/bin/python
    [ -x "$python" ] || python3 -m venv benchmarks/.venv
    "$python" -m pip install --quiet --requirement benchmarks/models/requirements.txt >&2
    "$python" -W ignore benchmarks/speed/node_cases.py "$cases" >&2
fi

cargo bench --bench speed -- "$@"
