#!/usr/bin/env bash
# What a GPU does for videocolor, in under eight minutes; arguments as of `python -m benchmarks.gpu`.
#   benchmarks/gpu.sh -o benchmarks/results/gpu.json
#   benchmarks/gpu.sh --device cpu --small       # each step in seconds, without a GPU
set -euo pipefail
cd "$(dirname "$0")/.."
exec timeout 480 python -m benchmarks.gpu "$@"
