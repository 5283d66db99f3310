# The targets create .venv and run in it. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests of a file share servers, so one worker runs all of them. There are more workers than cores, because
# many tests wait for processes. tests/conftest.py lists the files that start first.
PYTEST_ARGS ?= -n 4 --dist loadfile --no-loadscope-reorder
# Also where the environment forbids byte-code, the tests write it: without it, every worker compiles every test,
# which is two thirds of its start.
check test: export PYTHONDONTWRITEBYTECODE =
INSTALL := -m pip install --quiet --disable-pip-version-check
LOCK = $(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help demo picture rotate deploy undeploy logs smoke check test soak mutants bench lint format build release lock clean

help: ## List the targets.
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.local ## Run the demo on embedded servers; KEEP=1 keeps them running.
	@$(BIN)/rotator demo $(if $(KEEP),--keep)

picture: $(VENV)/.local ## Draw the output of the demo: infra/docs/demo.svg.
	@$(BIN)/rotator demo --picture infra/docs/demo.svg

# These targets read their variables from the environment, to which make exports those of its command line. The
# shell would interpret a value that is inserted into a recipe.
rotate: $(VENV)/.base ## Renew tokens now, with the local settings or with FUNCTION=name; NAMES="a b" limits it to these rotations.
	@set -f; set -- $$NAMES; if [ $$# = 0 ] && [ -n "$${NAMES+given}" ]; then \
		echo 'rotate: NAMES is empty; set it to names of rotations, or remove it to renew all' >&2; exit 2; fi; \
	$(BIN)/rotator rotate --force $${FUNCTION:+--function "$$FUNCTION"} $${NAMES:+-- "$$@"}

deploy: $(VENV)/.base ## Deploy or upgrade: STACK= SECRET= PARAMETER= BUCKET= [SET="Name=value ..." TAGS="key=value ..." CODE=rotator.zip].
	@$(BIN)/python -m infra.deploy

undeploy: $(VENV)/.base ## Delete the stack STACK=name, and list the resources that remain.
	@$(BIN)/python -m infra.undeploy

logs: $(VENV)/.base ## Show the log of the function of STACK=name: the last hour, or SINCE=2d.
	@$(BIN)/python -m infra.logs

smoke: $(VENV)/.local ## Verify behaviour of AWS in a real account: ACCOUNT=123456789012 STACK=name.
	@$(BIN)/python -m infra.smoke --account="$$ACCOUNT" --stack="$$STACK"

check: $(VENV)/.test $(VENV)/.lint ## Check style and types, and run the unit tests: in less than a minute.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest $(PYTEST_ARGS) -q tests/unit tests/docs

test: $(VENV)/.test ## Run every test.
	$(BIN)/python -m pytest $(PYTEST_ARGS)

soak: $(VENV)/.base ## Simulate 500 token-years and 200 fleets with random faults, and interleavings of three runs; about 12 minutes.
	@PYTHONPATH=tests $(BIN)/python -m soak.run

mutants: $(VENV)/.mutants ## Test the tests: change the core in small ways, and check that a test fails.
	$(BIN)/python tests/mutants.py

bench: $(VENV)/.test ## Measure the cost of a run on a stub, and compare it; about four minutes.
	@PYTHONPATH=tests:tests/helpers $(BIN)/python -m bench

lint: $(VENV)/.lint $(VENV)/.checkov ## Check style, types and the template.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint infra/template.yaml
	$(VENV)/checkov/bin/checkov --skip-download --framework cloudformation --quiet --compact -f infra/template.yaml

format: $(VENV)/.lint ## Format the sources.
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

build: $(VENV)/.build ## Build the function's zip, .build/rotator.zip, and its SBOM.
	$(BIN)/python -m infra.build
	$(BIN)/python -m infra.sbom

release: $(VENV)/.test ## Build the files of a release in dist/; with TAG=v1.2.3, refuse another version.
	@$(BIN)/python -m infra.release $${TAG+--tag="$$TAG"}

lock: $(VENV)/.lint ## Pin the requirements with hashes; UPGRADE=1 looks for newer versions.
	$(LOCK) --python-version 3.13 --python-platform linux infra/requirements.in -o infra/requirements.txt
	$(LOCK) --python-version 3.11 --universal --all-extras --group lint \
		--constraint infra/requirements.txt pyproject.toml -o tests/requirements.txt
	$(LOCK) --python-version 3.11 --universal infra/checkov.in -o infra/checkov.txt

clean: ## Remove the files that the targets created.
	rm -rf $(VENV) .build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find rotator infra tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# Tests and linters use locked wheels only: building a package would need build requirements that are not locked.
$(VENV)/.test $(VENV)/.lint: tests/requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(INSTALL) --require-hashes --only-binary=:all: --requirement tests/requirements.txt
	$(BIN)/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# In a virtual environment of its own, because checkov needs another version of the SDK.
$(VENV)/.checkov: infra/checkov.txt | $(VENV)/bin/python
	$(PYTHON) -m venv --clear $(VENV)/checkov
	$(VENV)/checkov/bin/python $(INSTALL) --require-hashes --only-binary=:all: --requirement infra/checkov.txt
	@touch $@

$(VENV)/.base: EXTRA := cli
$(VENV)/.local: EXTRA := local
$(VENV)/.base $(VENV)/.local: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(INSTALL) --editable '.[$(EXTRA)]'
	@touch $@

$(VENV)/.build: WANTED := . --group build
$(VENV)/.mutants: WANTED := '.[local,plot,httpx,function]' --group mutants
$(VENV)/.build $(VENV)/.mutants: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(INSTALL) 'pip>=25.1'  # the first that reads groups
	$(BIN)/python $(INSTALL) --editable $(WANTED)
	@touch $@
