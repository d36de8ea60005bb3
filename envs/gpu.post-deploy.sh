#!/usr/bin/env bash
# Fills an activated conda environment with the wheels that `make setup` installs, hashes checked.
# Run it at the root of the repository; `snakemake --sdm conda` does so by itself.
set -euo pipefail
pip install --require-hashes -r envs/gpu.txt
pip install --no-deps --no-build-isolation -e .
