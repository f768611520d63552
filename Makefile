# Needs python3 (3.11 or newer) and make; everything else is installed into .venv on first use.
# Another Python: make PYTHON=/path/to/python3.13 ...

PYTHON ?= python3
export PYTHON313
# Empty is off. Where it is set to 1, byte code is never kept, and importing the embedded AWS takes 1.6 s in place of 0.7 s at
# every start.
export PYTHONDONTWRITEBYTECODE :=
VENV := .venv
PY := $(VENV)/bin/python
SAM := .venv-sam/bin/sam
ARGS ?=
CODE := $(wildcard src demo examples tests tools benchmarks requirements/install.py)

# Each asks a script of the standard library whether the layer is in place (some 50 ms) and installs it if not.
INSTALL := $(PYTHON) requirements/install.py
NEED_LOCAL := $(INSTALL) $(VENV) local --contained-by dev --path src --path .
NEED_DEV := $(INSTALL) $(VENV) dev --path src --path .
NEED_SAM := $(INSTALL) .venv-sam sam
NEED_CHECKOV := $(INSTALL) .venv-checkov checkov
# Runs functions with the Python that runs it, so it has to be Lambda's; without one, the tests that need it say so.
NEED_MINISTACK := $(if $(PYTHON313),$(PYTHON313),python3.13) requirements/install.py .venv-ministack ministack
NEED_BROWSER := $(INSTALL) .venv-browser browser --path src --path .
NEED_DOCS := $(INSTALL) .venv-docs docs --path src
NEED_FUZZ := $(INSTALL) .venv-fuzz fuzz
NEED_COMPILE := $(INSTALL) .venv-compile compile

.DEFAULT_GOAL := help
.PHONY: help run local order status redrive why replay fault mapping invoke invoke-docker events test coverage slow contract conformance simulate fuzz-api browser pictures docs kill-api mutants bench check format build e2e requirements clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: ## Play a day of the shop on an embedded AWS and check it
	@$(NEED_LOCAL)
	@$(PY) -m demo run $(ARGS)

local: ## Keep an embedded AWS and the stream trigger running
	@$(NEED_LOCAL)
	@$(PY) -m demo up $(ARGS)

order: ## Place an order in `make local` (ARGS=--help for more)
	@$(NEED_LOCAL)
	@$(PY) -m demo order $(ARGS)

status: ## Names, addresses and state of a running `make local`
	@$(NEED_LOCAL)
	@$(PY) -m tablestream.local status $(ARGS)

redrive: ## Its dead letters: ARGS=list, show, run or discard
	@$(NEED_LOCAL)
	@$(PY) -m tablestream.local exec $(PY) -m tablestream.ops redrive $(or $(ARGS),list) --stack {stack}

why: ## The life of one item: ARGS="USER#ada ORDER#…"
	@$(NEED_LOCAL)
	@$(PY) -m tablestream.local exec $(PY) -m tablestream.ops why $(or $(ARGS),--help) --stack {stack}

replay: ## Send items of its table again, as if just inserted
	@$(NEED_LOCAL)
	@$(PY) -m tablestream.local exec $(PY) -m tablestream.ops replay $(or $(ARGS),--help) --stack {stack}

fault: ## Make its AWS fail, to practise (ARGS=--help for more)
	@$(NEED_LOCAL)
	@$(PY) -m tablestream.local fault $(or $(ARGS),--help)

mapping: ## Stop or start its deliveries: ARGS=disable or enable
	@$(NEED_LOCAL)
	@$(PY) -m tablestream.local mapping $(or $(ARGS),--help)

invoke: ## The handler on one event: EVENT=events/insert-order.json
	@$(if $(EVENT),,$(error Say which event: make invoke EVENT=events/insert-order.json))
	@$(NEED_LOCAL)
	@$(PY) -m demo invoke $(EVENT) $(ARGS)

invoke-docker: ## The same by `sam local invoke`, in Docker
	@$(if $(EVENT),,$(error Say which event: make invoke-docker EVENT=events/insert-order.json))
	@$(NEED_LOCAL)
	@$(NEED_SAM)
	@$(PY) -m tests.e2e.sam $(EVENT)

events: ## Write the sample events anew from their builders
	@$(NEED_LOCAL)
	@$(PY) -m demo events

# All tests side by side; with ARGS (a path, -k, -x) only what they name.
test: ## Unit, integration and rule tests, and some simulation
	@$(NEED_DEV)
	@$(PY) -m pytest -q -m "not e2e and not slow" $(or $(ARGS),-n 2 --dist worksteal)

coverage: ## The same tests, and which lines of src/ they run
	@$(NEED_DEV)
	@$(PY) -m pytest -q -m "not e2e and not slow" -n 2 --dist worksteal --cov

slow: ## Tests that start and kill programs, each some seconds
	@$(NEED_DEV)
	@$(PY) -m pytest -q -m slow $(ARGS)

contract: ## DynamoDB: one suite over moto and DynamoDB Local
	@$(NEED_DEV)
	@$(PY) -m pytest -q tests/contracts $(ARGS)

conformance: ## The delivery rules, and what services must promise
	@$(NEED_DEV)
	@$(PY) -m pytest -q tests/conformance tests/contracts $(ARGS)

simulate: ## Fault schedules: SEEDS=2000, or SEED=7 REGIME=harsh
	@$(NEED_DEV)
	@$(PY) -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(REGIME),--regime $(REGIME)) $(ARGS)

fuzz-api: ## schemathesis against the HTTP API of `make local`
	@$(NEED_DEV)
	@$(NEED_FUZZ)
	@$(PY) -m tests.fuzz_api $(ARGS)

browser: ## The page of `make local` in Chromium, if that is there
	@$(NEED_BROWSER)
	@.venv-browser/bin/python -m pytest -q -m e2e tests/browser $(ARGS)

pictures: ## Its pictures in docs/, made anew; wants Chromium too
	@$(NEED_BROWSER)
	@.venv-browser/bin/python -m tests.browser.pictures $(ARGS)

docs: ## The documentation as a site in site/, links checked
	@$(NEED_DOCS)
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build $(ARGS)
	@echo "site/index.html"

kill-api: ## Kill the API a thousand times, on a DynamoDB Local
	@$(NEED_DEV)
	@$(PY) -m tests.kill_api $(ARGS)

mutants: ## Planted slips, each of which the simulation must notice
	@$(NEED_DEV)
	@$(PY) -m tests.simulation.mutants $(ARGS)

bench: ## Measure, and write docs/performance.md (ARGS=--quick)
	@$(NEED_DEV)
	@$(PY) -m benchmarks $(ARGS)

check: ## Formatting, lint, types, the template and its security
	@$(NEED_DEV)
	@$(NEED_CHECKOV)
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy $(CODE)
	@$(PY) -m tests.template.lint_template
	@$(PY) -m tests.template.security

format: ## Format, and fix what can be fixed
	@$(NEED_DEV)
	@$(VENV)/bin/ruff check --fix --exit-zero -q .
	@$(VENV)/bin/ruff format .

build: ## Build the Lambda packages with the SAM CLI
	@$(NEED_SAM)
	@PYTHON=$(abspath .venv-sam/bin/python) $(SAM) build $(ARGS)
	@test -n "$$(find .aws-sam/build/Worker/shop -name '*.pyc' 2>/dev/null)" || echo "No python3.13 was found: the package" \
	  "holds no byte code, and a cold start takes longer. If there is one: make build PYTHON313=/path/to/python3.13"
	@$(PYTHON) tests/e2e/package.py .aws-sam/build/Worker .aws-sam/worker.zip
	@$(PYTHON) tests/e2e/package.py .aws-sam/build/Api .aws-sam/api.zip

e2e: ## The package in containers and deployed; needs Docker
	@$(NEED_DEV)
	@$(NEED_SAM)
	@$(NEED_MINISTACK) || echo "No python3.13, so nothing is deployed into an emulator. If there is one: make e2e PYTHON313=..."
	@$(PY) -m pytest -q -m e2e tests/e2e $(ARGS)

requirements: ## Compile requirements/*.in to hashed files
	@$(NEED_COMPILE)
	@set -e; compiled() { case $$1 in runtime) echo src/requirements.txt;; api) echo src/requirements-api.txt;; \
	  *) echo requirements/$$1.txt;; esac; }; \
	for step in runtime api:runtime local:api dev:local peers:api fuzz browser:dev docs sam checkov ministack compile; do \
	  layer=$${step%%:*}; below=$${step#$$layer}; below=$${below#:}; \
	  .venv-compile/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links $${below:+-c $$(compiled $$below)} $(ARGS) \
	    requirements/$$layer.in -o $$(compiled $$layer); \
	done

clean: ## Remove what was built, and the virtual environments
	@rm -rf .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .coverage htmlcov site .local .bench .venv .venv-sam .venv-checkov .venv-ministack .venv-fuzz .venv-browser .venv-docs .venv-compile
	@find $(wildcard src demo examples tests tools benchmarks requirements) -name __pycache__ -type d -prune -exec rm -rf {} +
