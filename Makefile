.PHONY: up install test lint types check bench fuzz lock clean
PY = .venv/bin/python

up: install            ## the whole system on this machine, simulated hardware
	.venv/bin/sealroom up

install:               ## .venv with the pinned, hash-locked set
	@scripts/setup runtime

install-dev:
	@scripts/setup dev

test: install-dev lint types   ## everything that must hold: lint, types, import rules, all tests
	$(PY) -m pytest -n 2 --dist loadgroup

lint: install-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: install-dev
	$(PY) -m mypy
	$(PY) -m mypy tests/typing tests/hardware

bench: install-dev     ## every measurement in bench/, each a ratio taken in one run
	$(PY) bench/run.py

fuzz: install-dev      ## every fuzz target for SECONDS each (60), with the corpus that is kept
	$(PY) -m pip install -q --require-hashes --no-deps -r requirements/fuzz.lock
	$(PY) fuzz/run.py --seconds $(or $(SECONDS),60)

lock:                  ## new pins after an edit of pyproject.toml (hashes, no download addresses)
	$(PY) -m pip install -q uv==0.13.9
	.venv/bin/uv pip compile -q --generate-hashes --extra engine --extra build pyproject.toml -o requirements/runtime.lock
	.venv/bin/uv pip compile -q --generate-hashes --extra engine --extra build --extra dev -c requirements/runtime.lock pyproject.toml -o requirements/dev.lock
	.venv/bin/uv pip compile -q --no-deps --generate-hashes requirements/model.in -o requirements/model.lock
	.venv/bin/uv pip compile -q --no-deps --generate-hashes requirements/fuzz.in -o requirements/fuzz.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
