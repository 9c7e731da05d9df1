# `make` lists the targets. Everything runs in .venv, made from envs/requirements.txt.

STUDY ?= config.yaml
PYTHON ?= python3
CORES ?= all
DEVICE ?= cpu
BIN := .venv/bin
READY := .venv/ready

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

reproduce: $(READY) ## Run a study (STUDY=config.yaml) here or by a cluster's PROFILE, print its verdicts and where its report is
	@$(BIN)/python -m mia_pruning.operations.reproduce $(STUDY) --cores $(CORES) $(if $(PROFILE),--profile $(PROFILE))

plan: $(READY) ## Print what a study (STUDY=config.yaml) will cost in time, memory and disk (DEVICE=cpu or gpu), without running it
	@$(BIN)/python -m mia_pruning.operations.plan $(STUDY) --cores $(CORES) --device $(DEVICE)

prefetch: $(READY) ## Make the environment and bring the data of a study (STUDY=config.yaml) to where no network is needed
	@$(BIN)/python -m snakemake prefetch --nolock --cores 1 --configfile $(STUDY)

status: $(READY) ## Say how far a study (STUDY=config.yaml) is, what runs, waits and failed, and how long the rest takes
	@$(BIN)/python -m mia_pruning.operations.status $(STUDY)

compare: $(READY) ## Set two finished studies side by side (A=results/x B=results/y): one page with differences and changed verdicts
	@$(if $(and $(A),$(B)),,echo "make: compare needs two studies' folders: make compare A=results/x B=results/y" >&2; exit 1)
	@$(BIN)/python -m mia_pruning.compare "$(A)" "$(B)"

docs: $(READY) ## Write README and docs from their templates, and from RESULTS="results/x ..." where newer results should be quoted
	@$(BIN)/python -m mia_pruning.findings $(RESULTS)

site: $(READY) ## Build the documentation's site in .site, every link checked: open .site/index.html
	@$(BIN)/python -m mkdocs build --strict --clean --config-file docs/site/mkdocs.yml
	@echo "Documentation: .site/index.html"

plug-ins: $(READY) ## List data sets, models, objectives, constraints, solvers, probes and attacks with options and traits
	@$(BIN)/python -m mia_pruning.plug_ins

test: $(READY) ## Run all tests
	@rm -rf .pytest_cache/messages
	@PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto workflow/lib tests/unit tests/contracts
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/workflow

messages: $(READY) ## Print every refusal that the last tests met, by the line that raises it
	@$(BIN)/python tests/messages.py

page-test: $(READY) ## Open the smoke study's report in a browser (needs root or Chromium), at all sizes, and press every button
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -rs tests/page

cluster-test: $(READY) ## Run the smoke study on a Slurm cluster on this machine (needs root or Slurm) and compare it with the one here
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=tests/cluster $(BIN)/python -m pytest -rs tests/cluster --ignore tests/cluster/test_faults.py

cluster-faults: $(READY) ## Break that cluster in each way that profiles/README.md names, and see that studies end as if nothing had happened
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=tests/cluster $(BIN)/python -m pytest -rs tests/cluster/test_faults.py

study-test: $(READY) ## Check what the verdicts of the finished default study rest on
	@$(BIN)/python -m pytest tests/study

check: $(READY) ## Check style, formatting, types, layers, the Snakefile and the citation file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check Snakefile workflow/rules/*.smk
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

hooks: $(READY) ## Let Git run the quick checks at each commit
	@$(BIN)/pre-commit install

bench: $(READY) ## Measure the speed figures that docs/BENCHMARKS.md quotes
	@$(BIN)/python tests/bench/bench.py
	@$(BIN)/python tests/bench/scale.py "1,000 jobs" "10,000 jobs"

env: $(READY) ## Make the environment only

clean: ## Delete the results, the site and Snakemake's records; keep the environment
	rm -rf results/*/ .snakemake .site

$(READY): envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making the environment in .venv (about 6 GB, minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: help reproduce plan prefetch status compare docs site plug-ins test messages study-test page-test cluster-test cluster-faults check hooks bench env clean
.DEFAULT_GOAL := help
