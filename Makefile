# Needs make and Python 3.11 or newer; everything else is installed into .venv.
# `make` alone lists the commands.

.DEFAULT_GOAL := help
.PHONY: help lab quick test lint machine notebooks exercises bench example constraints clean venv dev

BIN := .venv/bin
# Programs that a command starts (the kernels, alembic for nbgrader) are found in .venv first.
IN_VENV := PATH="$(CURDIR)/$(BIN):$$PATH"
UV := uv==0.13.9
LAB_FLAGS ?=
EXAMPLE_FLAGS ?=
PYTEST_FLAGS ?=

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# JUPYTER_PATH and a kernel of the user's own called python3 must not replace the kernel of .venv.
# -y lets one Ctrl-C end the server, with its kernels, without a question.
lab: venv ## Open the course in JupyterLab (LAB_FLAGS=--no-browser opens no browser)
	@exec env -u JUPYTER_PATH JUPYTER_PREFER_ENV_PATH=1 $(IN_VENV) \
		$(BIN)/python -m jupyterlab -y --ServerApp.root_dir="$(CURDIR)" \
		--LabApp.default_url=/lab/tree/notebooks/00_welcome.ipynb \
		$$([ "$$(id -u)" != 0 ] || echo --allow-root) $(LAB_FLAGS)

quick: lint ## Check style, types and notebooks, and run the fast tests
	@$(IN_VENV) $(BIN)/python -m pytest -n auto --hypothesis-profile=quick -m "not slow and not browser" \
		$(PYTEST_FLAGS)

test: machine lint ## Check and test everything; installs a browser if there is none
	@$(IN_VENV) $(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python tools/notebooks.py check

machine: dev
	@$(BIN)/python tools/machine.py

notebooks: dev ## For authors: strip outputs from the notebooks
	@$(BIN)/python tools/notebooks.py clean

exercises: dev ## For authors: make exercises/ anew from solutions/
	@$(IN_VENV) $(BIN)/python -m gryadka.course.exercises

bench: dev ## Measure changes per second against three real servers
	@$(BIN)/python benchmarks/change.py

# exec, so that Ctrl-C reaches one process only, which ends the others in their order.
example: dev ## Run the store of examples/http-kv without Docker (EXAMPLE_FLAGS="--shift 1000" moves its ports)
	@exec $(BIN)/python examples/http-kv/local.py $(EXAMPLE_FLAGS)

constraints: dev ## For authors: pin the newest packages in constraints.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(UV)
	@$(BIN)/uv pip compile -q --upgrade --universal --fork-strategy fewest --python-version 3.11 \
		--all-extras --no-annotate --no-header --output-file constraints.txt pyproject.toml

clean: ## Remove .venv, caches and test artefacts
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis test-artifacts build dist *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +

venv:
	@sh tools/venv.sh

dev:
	@sh tools/venv.sh dev
