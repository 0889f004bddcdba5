# `make demo` and `make test` are the whole set-up: each makes its own virtual environment in .venv and runs.
#   PYTHON=python3.12 make test     another interpreter (3.11 or later) for a new .venv
#   TESTS=tests/operators           some of the tests; LAB_TESTS=tests_lab/bench some of the laboratory's
#   JOBS=1 make test                one process at a time; else one for each core, with one thread each
#   DEMO_OPTIONS="--method wiener"  further options for the demo's restore command

PYTHON ?= python3
TESTS ?= tests
LAB_TESTS ?= tests_lab
JOBS ?= auto
DEMO_OPTIONS ?=
FUZZ_OPTIONS ?=
DEMO_PICTURE = out/shaken-restored.png
DEMO_COMPARISON = out/shaken-before-after.png

VENV = .venv
BIN = $(VENV)/bin

# Read by every pip below, those that build packages in isolation included.
export PIP_CONSTRAINT = constraints.txt
export PIP_BUILD_CONSTRAINT = constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL = help
.PHONY: help demo test test-lab check docs docs-commands gallery results fuzz load release format clean

help:
	@echo "make demo     restore the sample picture"
	@echo "make test     run the tests of the product"
	@echo "make test-lab run the tests of the laboratory: training, benchmarks, experiments"
	@echo "make check    format, lint, types, layers: what has to pass before anything else"
	@echo "make docs     build the documentation as a site, out/site/index.html"
	@echo "                docs-commands runs the commands that its pages print, gallery makes its pictures"
	@echo "make results  put the tables of the kept records into the pages (records/NAME into docs/NAME.md)"
	@echo "make fuzz     send damaged files through the command; FUZZ_OPTIONS='--count 200 --seed 7'"
	@echo "                coverage-guided: pip install atheris, then tests/fuzz_coverage.py"
	@echo "make load     200 clients, slow senders and damaged files on a service for three minutes; out/load.png"
	@echo "make release  wheel and sdist, built twice with the same hashes, list of parts and licences; out/release/"
	@echo "make format   put the code into its format"
	@echo "make clean    remove the virtual environment and everything generated"

demo: $(VENV)/core.stamp
	@mkdir -p $(dir $(DEMO_PICTURE))
	$(BIN)/acutance restore examples/shaken.jpg --kernel examples/shaken-kernel.png -o $(DEMO_PICTURE) \
		--compare $(DEMO_COMPARISON) --overwrite $(DEMO_OPTIONS)
	@echo "Blurred:          examples/shaken.jpg"
	@echo "Restored:         $(DEMO_PICTURE)"
	@echo "Before and after: $(DEMO_COMPARISON)"

test: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadfile $(TESTS)

test-lab: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadfile $(LAB_TESTS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests/layers_test.py

docs: $(VENV)/dev.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site: out/site/index.html"

docs-commands: $(VENV)/dev.stamp
	$(BIN)/python docs/tools/run_pages.py

gallery: $(VENV)/dev.stamp
	$(BIN)/python docs/tools/gallery.py

results: $(VENV)/dev.stamp
	for kept in records/*/; do name=$$(basename $$kept); \
		$(BIN)/acutance-lab bench report records/$$name --into docs/$$name.md || exit 1; done

fuzz: $(VENV)/dev.stamp
	$(BIN)/python tests/fuzz.py $(FUZZ_OPTIONS)

load: $(VENV)/dev.stamp
	$(BIN)/python tests/serve_load.py --plot out/load.png

release: $(VENV)/dev.stamp
	.ci/release out/release

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) out dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The two stamps share one environment; [dev] contains the core, so its stamp answers for both.
$(VENV)/core.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Acutance into $(VENV), once; this takes a minute or two."
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Acutance and its development tools into $(VENV), once; this takes a minute or two."
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $(VENV)/core.stamp $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Acutance needs Python 3.11 or later, this is " + sys.version.split()[0] + "; choose another one with: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
