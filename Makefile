# `make run` and `make test` do all the set-up on a fresh machine: Python 3.11 or newer and a C compiler.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check pytest lock clean

# The main job on the embedded defaults: no key, no model, no Docker. Improves three kernels and says what it learnt.
run: .venv/installed
	$(BIN)/evolve run matmul softmax gelu --model offline --sandbox process --attempts 10 --seed 1

test: check pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Three at a time, on two cores too: the tests wait for sandboxes half of the time. By file: a file shares what it opens.
pytest: .venv/installed
	$(BIN)/pytest -n 3 --dist loadfile

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# After a change of dependencies; needs `pip install uv`.
lock:
	uv pip compile --quiet pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --output-file requirements.lock

clean:
	rm -rf .venv
