# Gauntlet: `make` lists what there is. Works with GNU make 3.81 and newer (Linux, macOS).

SHELL := /bin/sh
VENV  := .venv
BIN   := $(CURDIR)/$(VENV)/bin

# Batch systems and login shells export ENV with a meaning of their own: only `make setup ENV=gpu` counts.
ifeq ($(origin ENV),environment)
override ENV :=
endif

ENV    ?=
SCALE  ?= mini
STUDY  ?=
CORES  ?=
ARGS   ?=
JOBS   ?= 2
UPGRADE ?=
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	if $$python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; \
	then echo $$python; exit; fi; done; echo python3)

export TORCH_INDEX
# Commands of the environment (snakemake, dvc) are found first; jobs inherit this.
RUN := PATH="$(BIN):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help python setup reproduce test test_slurm test_remotes lint format lock bench clean

help: ## show this list
	@echo "Gauntlet: machine-learning security papers, re-run and judged. Targets:"
	@awk -F ':.*## ' '/^[a-z_]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "Options:"
	@echo "  SCALE=smoke|mini|desk|paper  STUDY=<name>  CORES=<n>     for reproduce (mini, all studies, all cores)"
	@echo "  ENV=cpu|gpu|test  PYTHON=<command>                       for setup (cpu; the first Python 3.11 or 3.12)"
	@echo "  TORCH_INDEX=<address of PyTorch's CPU wheels>            for setup: no CUDA libraries, far less disk"
	@echo "  ARGS='...'  JOBS=<n>                                     for test: pytest's arguments, parallel workers"

python:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || \
	{ echo "setup: no command '$(PYTHON)'; install Python 3.11, or name it: make setup PYTHON=<command>" >&2; exit 2; }

setup: python ## build the locked environment in .venv
	@$(PYTHON) envs/setup.py $(ENV)

reproduce: setup ## get the data, run the studies, draw the figures, judge the claims, write the report
	@$(RUN) gauntlet reproduce --config config/$(SCALE).yaml$(if $(STUDY), --study $(STUDY))$(if $(CORES), --cores $(CORES))

test: python ## build the test environment and run the tests
	@$(PYTHON) envs/setup.py test
	@$(RUN) python -m pytest -n $(JOBS) --dist loadgroup --ignore tests/slurm --ignore tests/remotes $(ARGS)

test_slurm: python ## the tests on a real Slurm that they start here (Debian, as root: docs/cluster.md)
	@$(PYTHON) envs/setup.py test
	@$(RUN) python -m pytest tests/slurm $(ARGS)

test_remotes: python ## the tests of DVC remotes on real servers that they start here (sshd, nginx: docs/data.md)
	@$(PYTHON) envs/setup.py test
	@$(RUN) python -m pytest tests/remotes $(ARGS)

lint: python ## check style: ruff, snakefmt, snakemake --lint
	@$(PYTHON) envs/setup.py test
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) snakefmt --check Snakefile workflow
	@$(RUN) snakemake --lint

format: python ## rewrite the code in the project's style
	@$(PYTHON) envs/setup.py test
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .
	@$(RUN) snakefmt Snakefile workflow

lock: python ## write envs/*.txt from pyproject.toml (UPGRADE=1 for newer versions)
	@$(PYTHON) envs/lock.py $(if $(UPGRADE),--upgrade)

bench: python ## time this project against its peers (minutes; prints ratios)
	@$(PYTHON) envs/setup.py test
	@$(RUN) python benchmarks/run.py $(ARGS)

clean: ## remove what the pipeline made: results, logs, figures (not data, published, mlflow.db or .venv)
	rm -rf results logs paper_figures .gauntlet .snakemake
