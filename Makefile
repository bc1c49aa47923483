# Every verb works from a fresh clone: it sets up what it needs first, and says nothing when all is in place.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory -j2
# Compiled modules are kept: a dozen short processes start in half the time.
unexport PYTHONDONTWRITEBYTECODE
.DELETE_ON_ERROR:

# Which Python the environments are made with (infra/find_python.sh). Those that are here keep theirs.
ifneq ($(PYTHON),)
export PYTHON
HERE := $(firstword $(realpath .venv/bin/python .venv-bootstrap/bin/python))
ifneq ($(HERE),)
ifneq ($(HERE),$(shell $(PYTHON) -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null))
$(error the environments here are of $(HERE): for $(PYTHON), delete them first (rm -rf .venv .venv-*))
endif
endif
endif

PY := .venv/bin/python
UV := .venv-bootstrap/bin/uv
STACK_HOME ?= .hireling-stack
CODE := $(wildcard services tests infra loadtests)
# Where the machine has no node, npm is the contracts' own.
WITH_NPM := PATH="$$PATH:$(CURDIR)/contracts/cache/node/bin"
SUPPLY := $(WITH_NPM) PYTHONPATH=infra .venv-supply/bin/python -m

# A stamp's name carries the hash of what it was made from: a changed lock asks for a new stamp, a touched file does not.
hash = $(shell cat $(1) 2>/dev/null | sha256sum | cut -c1-16)
BOOTSTRAP_READY := .venv-bootstrap/.ready-$(call hash,requirements/bootstrap.lock)
ARENA_READY := .venv-arena/.ready-$(call hash,requirements/arena.lock)
LOADS_READY := .venv-loads/.ready-$(call hash,requirements/loads.lock)
BENCH_READY := .venv-bench/.ready-$(call hash,requirements/bench.lock)
KUBERNETES_READY := .venv-kubernetes/.ready-$(call hash,requirements/kubernetes.lock infra/kubernetes/tools/package-lock.json)
SUPPLY_READY := .venv-supply/.ready-$(call hash,requirements/supply.lock)
RUN_READY := .venv-run/.ready-$(call hash,requirements/run.lock)
PLATFORM_READY := .venv/.ready-$(call hash,requirements/dev.lock services/agent/pyproject.toml)

.PHONY: help
help: ## Show these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(PLATFORM_READY) contracts-ready ## Set up the platform and the contracts, nothing else

.PHONY: demo
# TRACE, COLUMN and SPEED reach it as they reach make: from its command line or the environment.
demo: setup ## Rent this computer and a replayed machine, for real (TRACE=file.csv COLUMN="Active (W)" SPEED=60)
	@$(PY) -m services.embedded demo

.PHONY: up
up: setup ## Run the whole platform here, with a live page, until Ctrl-C
	@exec $(PY) -m services.embedded up

.PHONY: down
down: setup ## Stop a platform started by `make up`
	@$(PY) -m services.embedded down

.PHONY: up-stack
up-stack: setup ## The platform as a process a service on RabbitMQ, PostgreSQL and Mosquitto, two machines for hire, until Ctrl-C
	@HIRELING_HOME="$(STACK_HOME)" exec $(PY) infra/stack.py keep "$(STACK_HOME)" -- $(PY) -m services.embedded up-stack

.PHONY: down-stack
down-stack: setup ## Stop a platform started by `make up-stack`
	@$(PY) infra/stack.py stop "$(STACK_HOME)"

.PHONY: check
check: $(PLATFORM_READY) ## Lint, format, types and the map of imports, in seconds
	@mkdir -p build; status=0; \
	 .venv/bin/ruff check --quiet --output-format concise . || status=1; \
	 .venv/bin/ruff format --quiet --check . || { echo "make fix formats the files above"; status=1; }; \
	 .venv/bin/mypy --no-error-summary $(CODE) || status=1; \
	 .venv/bin/lint-imports --no-logo >build/imports.txt || { cat build/imports.txt; status=1; }; \
	 [ "$$status" -ne 0 ] || echo "check: lint, format, types and imports are in order"; \
	 exit "$$status"

.PHONY: fix
fix: $(PLATFORM_READY) ## Mend what the linter can mend, and format
	@.venv/bin/ruff check --quiet --fix . || true
	@.venv/bin/ruff format .

.PHONY: test
test: setup $(KUBERNETES_READY) $(SUPPLY_READY) ## Every test that needs no system package, contracts included
	@infra/run_tests.sh

.PHONY: test-contracts
test-contracts: setup ## The contracts alone: linted, their exported ABIs compared, tested
	@infra/run_tests.sh contracts

.PHONY: gas
gas: contracts-ready ## Measure the gas of every action of the contracts against its budget (ARGS=--help)
	@contracts/scripts/gas.sh $(ARGS)

.PHONY: deploy
deploy: contracts-ready ## Deploy or verify the contracts (CHAIN=8453 ARGS="--verify"; ARGS=--help tells more)
	@[ -n "$(CHAIN)$(filter --help,$(ARGS))" ] || { echo 'which chain? make deploy CHAIN=8453 ARGS="--keystore deployer.json"' >&2; exit 2; }
	@contracts/scripts/deploy.sh $(if $(CHAIN),--chain-id $(CHAIN)) $(ARGS)

.PHONY: contracts
contracts: contracts-ready ## The contracts by every tool: lint, ABIs, tests, coverage, proofs, slither (ARGS=--after-tests: without the first three)
	@UV="$(CURDIR)/$(UV)" contracts/scripts/prove.sh $(ARGS)

.PHONY: contracts-mutate
contracts-mutate: contracts-ready ## Nightly: change the escrow in one place after the other; tests must notice 90 % (SAMPLE=60 or all, SEED=1)
	@contracts/scripts/mutate.sh --sample "$(or $(SAMPLE),60)" --seed "$(or $(SEED),1)" $(ARGS)

.PHONY: contracts-coverage
contracts-coverage: contracts-ready ## Which lines, branches and reverts of the contracts the tests reach
	@contracts/scripts/coverage.sh

.PHONY: test-stack
test-stack: setup ## The tests on real RabbitMQ, PostgreSQL and Mosquitto (infra/setup-debian.sh installs them)
	@infra/run_tests.sh stack

.PHONY: faults
faults: setup ## Rentals under load while each server and service is killed, paused, cut off … (ARGS=--help)
	@$(PY) infra/stack.py run -- $(PY) -W ignore::DeprecationWarning -m tests.e2e.faults $(ARGS)

.PHONY: test-compose
test-compose: setup ## docker-compose.yml for real: rentals, two copies of everything, TLS, sizes (needs a Docker engine; ARGS="-k tls")
	@mkdir -p build/test; $(PY) infra/compose.py run -- $(PY) -m pytest -m compose -p no:randomly tests/compose $(ARGS) 2>&1 | tee build/test/compose.log

.PHONY: arena
arena: $(ARENA_READY) ## Our bargaining against NegMAS's, 20 and 100 rounds, on two cores some minutes (ARGS=--help)
	@PYTHONPATH=services/agent/src:. .venv-arena/bin/python -m loadtests.arena $(ARGS)

.PHONY: bench-ingest
bench-ingest: setup ## How many readings one ingest makes durable, and how soon (infra/setup-debian.sh installs the servers)
	@$(PY) infra/stack.py run -- $(PY) -m loadtests.bench.ingest $(ARGS)

.PHONY: load
# ARRIVALS reaches it as it reaches make: from its command line or the environment.
load: setup $(LOADS_READY) ## Searches and whole rentals on the stack, held to budgets; a report in build/load (ARRIVALS=file.csv ARGS=--help)
	@$(PY) infra/stack.py run -- $(PY) -m loadtests.load $(ARGS)

.PHONY: bench-plot
bench-plot: $(BENCH_READY) ## Draw what `make bench-ingest ARGS="--only sweep"` measured, into docs/pictures
	@.venv-bench/bin/python -m loadtests.bench.plot

.PHONY: draw-dashboards
draw-dashboards: $(BENCH_READY) ## The dashboards as pictures, from a running Prometheus (ARGS="--prometheus URL")
	@.venv-bench/bin/python infra/grafana/draw.py $(ARGS)

.PHONY: bench-bargains
bench-bargains: setup ## How many bargaining sessions an embedded marketplace hosts (ARGS=--help)
	@$(PY) -m loadtests.bench.bargains $(ARGS)

.PHONY: bench-bargains-stack
bench-bargains-stack: setup ## The same on RabbitMQ, PostgreSQL and Mosquitto (ARGS=--help)
	@$(PY) infra/stack.py run -- $(PY) -m loadtests.bench.bargains --stack $(ARGS)

.PHONY: bench-pricing
bench-pricing: $(PLATFORM_READY) ## The pricing agent beside a fixed price and a naive rule, on simulated demand (ARGS=--help)
	@$(PY) -m loadtests.bench.pricing $(ARGS)

.PHONY: kubernetes
kubernetes: $(KUBERNETES_READY) ## Build the Kubernetes manifests into build/kubernetes and hold them against their schemas
	@.venv-kubernetes/bin/python infra/kubernetes/check.py

.PHONY: sbom
sbom: $(SUPPLY_READY) $(RUN_READY) contracts-ready ## Write what is in our images as CycloneDX, into build/supply
	@$(SUPPLY) supply.bills

.PHONY: supply
supply: sbom ## The same, and hold each package's licence to infra/supply/licences.toml
	@$(SUPPLY) supply.licences

.PHONY: audit
audit: $(SUPPLY_READY) contracts-ready ## Nightly: what is known to be wrong with it; fails, too, where no service answers
	@$(SUPPLY) supply.audit $(ARGS)

.PHONY: lock
lock: $(BOOTSTRAP_READY) ## Resolve requirements/*.in into locks with hashes
	@for name in bootstrap run dev contracts node proofs arena bench loads kubernetes supply; do \
	  echo "locking $$name"; \
	  $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    requirements/$$name.in -o requirements/$$name.lock; \
	done

.PHONY: lock-images
lock-images: $(PLATFORM_READY) ## Ask the registries for the images' digests; write images.lock and docker-compose.pinned.yml (ARGS=--check)
	@$(PY) infra/lock_images.py $(ARGS)

.PHONY: clean
clean: ## Delete the local marketplace (.hireling: keys, chain, databases, bills), caches, and setup's stamps
	@if [ -d $(STACK_HOME) ]; then $(PY) infra/stack.py stop $(STACK_HOME); \
	  rm -rf "$$(readlink -f $(STACK_HOME)/servers)" $(STACK_HOME); fi
	@if [ -d .hireling ] && [ -x $(PY) ]; then $(PY) -m services.embedded down \
	  || { echo "the platform could not be stopped; if none runs, delete .hireling by hand" >&2; exit 1; }; fi
	@echo "deleting .hireling/: keys, wallets, chain, databases and bills of this machine's marketplace"
	@echo "deleting caches and build/; the environments stay, the next verb checks them against their locks"
	@rm -rf .hireling build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -f .venv/.ready-* .venv-contracts/.stamp .venv-proofs/.stamp .venv-bootstrap/.ready-* .venv-arena/.ready-* .venv-bench/.ready-* .venv-loads/.ready-* .venv-kubernetes/.ready-* .venv-supply/.ready-* .venv-run/.ready-* contracts/node_modules/.stamp
	@rm -rf contracts/build contracts/cache/forge contracts/cache/slither contracts/cache/coverage
	@find services tests infra loadtests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BOOTSTRAP_READY):
	@python=$$(infra/find_python.sh); \
	 echo "setup: Python $$($$python -c 'import platform; print(platform.python_version())'), installer uv"; \
	 rm -rf .venv-bootstrap; \
	 $$python -m venv .venv-bootstrap; \
	 .venv-bootstrap/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock; \
	 touch $@

$(PLATFORM_READY): | $(BOOTSTRAP_READY)
	@echo "setup: the platform's environment (.venv)"; \
	 [ -x $(PY) ] || $(UV) venv --quiet --no-python-downloads --python .venv-bootstrap/bin/python .venv; \
	 rm -f .venv/.ready-*; \
	 $(UV) pip sync --quiet --python $(PY) --require-hashes requirements/dev.lock; \
	 $(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e services/agent; \
	 touch $@

# Environments of a tool each, which nothing that runs needs, and what the platform's image holds.
$(ARENA_READY) $(BENCH_READY) $(LOADS_READY) $(SUPPLY_READY) $(RUN_READY): | $(BOOTSTRAP_READY)
	@name=$(patsubst .venv-%/,%,$(dir $@)); \
	 echo "setup: the environment of $$name (.venv-$$name)"; \
	 [ -x .venv-$$name/bin/python ] || $(UV) venv --quiet --no-python-downloads --python .venv-bootstrap/bin/python .venv-$$name; \
	 rm -f .venv-$$name/.ready-*; \
	 $(UV) pip sync --quiet --python .venv-$$name/bin/python --require-hashes requirements/$$name.lock; \
	 touch $@

$(KUBERNETES_READY): | contracts-ready
	@echo "setup: the environment of the Kubernetes manifests (.venv-kubernetes), kubectl"; \
	 [ -x .venv-kubernetes/bin/python ] || $(UV) venv --quiet --no-python-downloads --python .venv-bootstrap/bin/python .venv-kubernetes; \
	 rm -f .venv-kubernetes/.ready-*; \
	 $(UV) pip sync --quiet --python .venv-kubernetes/bin/python --require-hashes requirements/kubernetes.lock; \
	 $(WITH_NPM) infra/kubernetes/tools/setup.sh .venv-kubernetes/bin; \
	 touch $@

# The contracts keep stamps of their own (environment, node_modules, build), which their setup checks in no time.
.PHONY: contracts-ready
contracts-ready: | $(BOOTSTRAP_READY)
	@[ -f .venv-contracts/.stamp ] || echo "setup: the contracts' environment (.venv-contracts), local chain and compiler"; \
	 UV="$(CURDIR)/$(UV)" contracts/scripts/setup.sh
