# make search [DATA=photos/] [STUDY=name] [TRIALS=20]   make test   make check   make soak [SOAK=short]
PYTHON ?= python3
DATA ?=
ifeq ($(DATA),)
STUDY ?= digits_cnn
else
# Named after the folder or file of images, in the letters that a name may have.
STUDY ?= $(or $(shell basename "$$(cd "$(DATA)" 2>/dev/null && pwd || echo "$(DATA)")" | sed -E \
	's/\.(zip|tgz|npz|csv|tsv|parquet|tar(\.[a-z0-9]+)?)$$//; s/[^A-Za-z0-9._-]+/_/g; s/^[^A-Za-z0-9]+//'),images)
endif
TRIALS ?=
SOAK ?= whole

PY := .venv/bin/python

.PHONY: search test soak check format

search: .venv/installed
	$(PY) -m search.run --study "$(STUDY)" $(if $(TRIALS),--trials "$(TRIALS)") $(if $(DATA),--data "$(DATA)")

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
