# Everything sets itself up: a virtual environment in .venv, with the versions of constraints.txt.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEMO   := demo
# pip shows what it downloads and installs: minutes without a line look like a hang.
PIP    := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e

export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: help demo test test-all test-wheel test-lowest test-newest check docs bench bench-accuracy catalog clean

help:
	@echo "make demo         write example images, classify them, train a classifier and use it"
	@echo "make test         run the tests, a few minutes"
	@echo "make check        ruff, mypy, import order, documentation"
	@echo "make docs         build the documentation: site/index.html, and manual pages in site/man"
	@echo "make test-all     the tests of every architecture and of the documentation too, and the three below"
	@echo "make test-wheel   install the wheel in an empty environment, run the demo and the tests of the public surface"
	@echo "make test-lowest  the same with the lowest versions that pyproject.toml allows (constraints-lowest.txt)"
	@echo "make test-newest  the same with the newest versions that pip finds"
	@echo "make bench        measure the speed against other tools"
	@echo "make bench-accuracy  compare the accuracy of recipes, an hour"
	@echo "make catalog      write the layer tables again, from the installed Keras"
	@echo "make clean        remove the virtual environment, the site and the files of the demo"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("tlkit needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV): about 1.3 GB of packages, downloaded the first time."
	$(PYTHON) -m venv $(VENV)
	$(PIP) '.[dev]'
	@touch $@

# The commands are printed as they run: they are what a user would type.
demo: $(READY)
	@rm -rf $(DEMO)
	python examples/make_data.py $(DEMO)/data
	tlkit predict $(DEMO)/data/photos --top 3 --plot $(DEMO)/photos.png
	tlkit finetune $(DEMO)/data/textures -o $(DEMO)/run
	tlkit predict --model $(DEMO)/run $(DEMO)/data/textures/validation/grass/grass-00.png
	@echo
	@echo "Open $(DEMO)/photos.png and $(DEMO)/run/report.html. To train on your own images, put those of each class"
	@echo "into a folder of its own and run:  $(BIN)/tlkit finetune FOLDER"

test: $(READY)
	python -m pytest

# Every architecture, the documentation, and the installed package. In parts, because TensorFlow never frees the graph of
# a function: the workers of one run would need more memory than most machines have.
LARGE := tests/keras_files tests/training
LARGEST := tests/architectures tests/features tests/inference

test-all: $(READY)
	@failed=; for part in "tests $(addprefix --ignore=,$(LARGE) $(LARGEST))" "$(LARGE)" "$(LARGEST)"; do \
	  echo "python -m pytest -m '' $$part"; python -m pytest -m '' $$part || failed=1; \
	done; \
	for part in $(INSTALLED); do $(MAKE) $$part || failed=1; done; test -z "$$failed"

# Each downloads TensorFlow into an environment of its own, in a temporary folder, and removes it: one after the other.
INSTALLED := test-wheel test-lowest test-newest

$(INSTALLED): $(READY)
	python tests/installed.py $(@:test-%=%)

check: $(READY)
	ruff check .
	ruff format --check .
	mypy
	python -m pytest -q -m "structure or docs"

# Warnings are errors: a link that leads nowhere, a page that is in no list.
SPHINX := sphinx-build -q -W --keep-going -d $(VENV)/doctrees

docs: $(READY)
	python docs/generate.py
	python docs/screenshots.py
	$(SPHINX) -b html docs site
	$(SPHINX) -b man docs site/man
	@echo "Open site/index.html"

# Not in the constraints of a test run: the tools to compare with.
bench: $(READY)
	$(PIP) '.[bench]'
	python tests/benchmarks/inspect_h5.py
	python tests/benchmarks/processes.py
	python tests/benchmarks/features.py
	python tests/benchmarks/finetune.py
	python tests/benchmarks/serve.py
	python tests/benchmarks/export.py
	python tests/benchmarks/backends.py
	python tests/benchmarks/million_rows.py
	python tests/benchmarks/ray_workers.py

# scikit-image and scikit-learn, of dev, have the images.
bench-accuracy: $(READY)
	python tests/benchmarks/accuracy.py

catalog: $(READY)
	python -m tlkit.architectures.layer_tables

clean:
	rm -rf $(VENV) $(DEMO) site
