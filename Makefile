# Two commands are all a newcomer needs: `make lab` and `make test`.
.PHONY: install lab hub test test-quick test-long bench lint docs clean
SHELL := /bin/sh
PY := .venv/bin/python
ARGS ?=

install: ## prepare the environment in .venv
	@sh tools/install.sh

lab: install ## JupyterLab on the quickstart, with an embedded gateway and agents
	@exec $(PY) -m qmio_jupyter.cli.main lab $(ARGS)

hub: install ## a small centre on this machine: Slurm cluster, gateway, JupyterHub with dummy users; Ctrl-C ends it
	@exec $(PY) tools/hub.py $(ARGS)

test: install ## every check: lint, types, contracts, all suites, packages, docs
	@$(PY) tools/check.py all

test-quick: install ## lint, types, contracts and the pure suites
	@$(PY) tools/check.py quick

test-long: install ## soak, 100,000 seeds, the whole kill matrix; reports go to docs/reports
	@$(PY) tools/check.py long

bench: install ## ratios taken in one run; a table and bench-results/<date>.json; QUICK=1: a few, in a minute
	@$(PY) tools/bench $(if $(QUICK),--quick) $(ARGS)

lint: install
	@$(PY) tools/check.py lint

docs: install ## write the generated reference pages anew
	@$(PY) tools/reference.py --write

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
