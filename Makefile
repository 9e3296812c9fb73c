# make search [STUDY=digits_cnn] [TRIALS=20] [DATA=folder]   make test   make check   make soak [SOAK=short]
PYTHON ?= python3
STUDY ?= digits_cnn
TRIALS ?= 20
DATA ?=
SOAK ?= whole

PY := .venv/bin/python

.PHONY: search test soak check format

search: .venv/installed
	$(PY) -m search.run --study "$(STUDY)" --trials "$(TRIALS)" $(if $(DATA),--data "$(DATA)")

test: .venv/installed-test
	$(PY) -m pytest -m "not soak" -n 2 --dist loadfile --durations=40 --durations-min=5

# Harm, races and outages, for as long as it takes; with SOAK=short the same tests, shortened.
soak: .venv/installed-test
	$(PY) -m pytest -m soak --soak $(SOAK) --durations=10

check: .venv/installed-test
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: .venv/installed-test
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.venv/installed: pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(PY) -m pip install --quiet --editable '.[test]'
	touch $@
