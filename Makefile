.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python

.PHONY: help install install-dev run demo ask ingest key env worker test lint types imports reference lock fuzz audit sbom clean \
	test-parts test-processes test-services test-chart browser prometheus clients helm \
	bench bench-index bench-move bench-worker bench-api bench-cluster bench-memory bench-ingest bench-marks bench-page bench-retrieval bench-follow-ups bench-answers bench-semantic bench-simulate drill \
	story

help:  ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

install: .venv/installed  ## make .venv with what the service needs

install-dev: .venv/installed-dev  ## make .venv with what tests and benchmarks need too

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %s; try make PYTHON=python3.12" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv || (rm -rf .venv; echo "This Python has no venv module; on Debian: apt install python3-venv" >&2; exit 1)

.venv/installed: .venv/bin/python requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/installed-dev: .venv/bin/python requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ .venv/installed

run: install  ## start the whole service on this machine; index data/ on the first start
	@exec $(RUN) -m app --ingest data/

demo: install  ## start on a free port, ask a few questions, stop
	@$(RUN) -m app demo

ask: install  ## ask the running service: make ask q="..."
	@$(RUN) -m app ask "$$q"

ingest: install  ## index data/, or make ingest path=FOLDER
	@$(RUN) -m ingest $(or $(path),data/)

key: install  ## make an API key: make key name=web [tenant=acme] [role=ingest] [rate=60/minute] [tokens=100000/day] [weight=3]
	@$(RUN) -m app key --name "$(name)" $(if $(tenant),--tenant "$(tenant)") $(if $(role),--role $(role)) $(if $(rate),--rate $(rate)) $(if $(tokens),--tokens $(tokens)) $(if $(weight),--weight $(weight))

env: install  ## write .env for docker compose: a key and passwords, where it has none yet
	@$(RUN) -m app env-file

worker: install  ## one more worker beside the running service; make worker processes=auto for one a core
	@exec $(RUN) -m worker $(if $(processes),--processes "$(processes)")

test: install-dev browser prometheus  ## lint, types, imports and all tests
	@$(MAKE) --no-print-directory -j2 lint types imports
	@$(MAKE) --no-print-directory -j4 test-parts test-processes test-services test-chart

# The tests in groups which go on at once: two cores compute for one while the others wait for processes. Three are of
# about the same length; those of the chart wait for Helm to be built. Each has a cache of its own, lest one write over
# what another has failed. What all but one say is shown when they have ended, each in one piece.
PARTS := tests/unit tests/security tests/integration/ingest
PROCESSES := tests/acceptance
CHART := tests/unit/test_chart.py tests/integration/test_chart.py tests/acceptance/test_chart.py

test-parts: FOLDERS := $(PARTS)
test-parts:  ## a third of the tests: the parts by themselves, attacks on them, ingestion
test-processes: FOLDERS := $(PROCESSES)
test-processes:  ## a third of the tests: the commands as processes, the page in a browser
test-chart: FOLDERS := $(CHART)
test-chart: helm  ## the tests of the chart for Kubernetes
test-parts test-processes: FOLDERS += $(CHART:%=--ignore=%)
test-parts test-processes test-chart: install-dev
	@mkdir -p .pytest_cache
	@$(RUN) -m pytest -o cache_dir=.pytest_cache/$@ $(FOLDERS) >.pytest_cache/$@.log 2>&1; \
		status=$$?; cat .pytest_cache/$@.log; exit $$status

test-services: install-dev  ## all other tests: the code on real services
	$(RUN) -m pytest -o cache_dir=.pytest_cache/$@ $(PARTS:%=--ignore=%) $(PROCESSES:%=--ignore=%) $(CHART:%=--ignore=%)

browser: install-dev  # the tests of the page need one; elsewhere they are skipped with a word
	@$(RUN) -m tests.support.browser

prometheus: install-dev  # the tests of the alerts need it; elsewhere they are skipped with a word
	@$(RUN) -m tests.support.prometheus

helm: install-dev  # the tests of the chart need it: built where Go is, once; elsewhere they are skipped with a word
	@$(RUN) -m tests.support.helm

clients: install-dev  ## other languages' clients of OpenAI's protocol: install those that can be, and test all
	$(RUN) -m tests.acceptance.clients.install
	$(RUN) -m pytest tests/acceptance/clients

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev
	$(BIN)/mypy

imports: install-dev
	$(BIN)/lint-imports

bench: install-dev  ## from POST to result, and cold start
	@$(RUN) -m benchmarks.latency

bench-index: install-dev  ## the embedded Qdrant: writes and hybrid queries
	@$(RUN) -m benchmarks.index

bench-move: install-dev  ## an index of 50,000 chunks exported, and imported elsewhere
	@$(RUN) -m benchmarks.move

bench-worker: install-dev  ## our worker beside stock RQ, Celery and arq
	@$(RUN) -m benchmarks.worker

bench-api: install-dev  ## what the API takes: requests, streams, waits
	@$(RUN) -m benchmarks.api

bench-cluster: install-dev  ## two workers and two replicas behind nginx beside one of each, and what limits them
	@$(RUN) -m benchmarks.cluster

bench-memory: install-dev  ## what a finished question takes of Valkey's memory
	@$(RUN) -m benchmarks.memory

bench-ingest: install-dev  ## our ingest beside the usual pipeline: make bench-ingest path=FOLDER
	@$(RUN) -m benchmarks.ingest $(path)

bench-marks: install-dev  ## how many sentences are marked on their page: make bench-marks path=FOLDER
	@$(RUN) -m benchmarks.marks $(path)

bench-page: install-dev browser  ## how fast the page is in a browser
	@$(RUN) -m benchmarks.page

bench-retrieval: install-dev  ## how well we find: make bench-retrieval path=FOLDER
	@$(RUN) -m benchmarks.retrieval $(path)

bench-follow-ups: install-dev  ## how often a follow-up's page is found, by itself, with words added, in other words
	@$(RUN) -m benchmarks.follow_ups

bench-answers: install-dev  ## what the running service answers rightly: make bench-answers questions=FILE
	@$(RUN) -m benchmarks.answers $(questions)

bench-semantic: install-dev  ## what the semantic cache gives again, and wrongly, by EMBEDDING_MODEL and by the worst model
	@$(RUN) -m benchmarks.semantic

fuzz: install-dev  ## the API against its OpenAPI document, and a hostile model's answers, for longer
	FUZZ_EXAMPLES=200 $(RUN) -m pytest -q tests/integration/app/test_openapi.py tests/security/test_hostile_model.py

audit: install-dev  ## known vulnerabilities of what requirements.lock installs
	$(BIN)/pip-audit --disable-pip --require-hashes -r requirements.lock

sbom: install-dev  ## a CycloneDX bill of materials of requirements.lock: sbom.cdx.json
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible -o sbom.cdx.json

bench-simulate: install-dev  ## what a deployment gives, simulated, and a small real run beside it
	@$(RUN) -m benchmarks.simulate --check

drill: install-dev  ## kill, stop and starve the parts, and count the jobs
	@$(RUN) -m benchmarks.drill

story: install-dev  ## one question that waits, is refused by the model and tried again: its trace and its log lines
	@$(RUN) -m benchmarks.story

reference: install-dev  ## write docs/reference anew, from the code
	@$(RUN) -m tests.support.reference

lock: install-dev  ## renew requirements.lock and requirements-dev.lock (names, versions, hashes)
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --upgrade -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate -c requirements.lock --group dev -o requirements-dev.lock pyproject.toml

clean:  ## remove .venv and caches; DATA_DIR stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .clients_cache
