# make lab      the environment, then JupyterLab on the first notebook   (ARGS=--no-browser, PYTHON=python3.12)
# make test     the environment, then everything that .ci/run runs
# On Linux `torch` brings CUDA by default; for the small CPU build: make lab TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV := .venv
COLAB := .venv-colab
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
ARGS ?=
SHELL := /bin/bash
# Debian's stockfish lies where root's PATH does not look; compiled modules are kept, because pip is told not to compile.
export PATH := $(PATH):/usr/games
unexport PYTHONDONTWRITEBYTECODE
PIP := pip install -q --no-compile
ONE_THREAD := LMRL_LAB_FAST=1 OMP_NUM_THREADS=1
# nbgrader is for instructors: its menus and its "Create Assignment" panel stay out of everybody's JupyterLab.
NO_MENUS = $(BIN)/jupyter labextension disable --level=sys_prefix @jupyter/nbgrader >/dev/null && \
    rm -f $(VENV)/etc/jupyter/jupyter_server_config.d/nbgrader.json
# Long lines of code are wrapped in JupyterLab, not cut off at the edge of the window. A user's own setting wins.
SETTINGS := $(VENV)/share/jupyter/lab/settings
WRAP = mkdir -p $(SETTINGS) && cp binder/overrides.json $(SETTINGS)
# torch alone, without its dependencies, comes from TORCH_INDEX: that index has other versions of the rest.
TORCH := --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(shell grep '^torch==' constraints.txt)

.PHONY: lab setup test test-units test-notebooks test-browser test-colab bench results notebooks assignments \
        grade address wheel clean python-ok

lab: setup
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/00_start_here.ipynb $(ARGS) notebooks

setup: $(VENV)/.ready

python-ok:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"LMRL Lab needs Python 3.11 or newer, and {sys.executable} is {v}. Name another: make lab PYTHON=python3.12")'

# The stamp lies inside the environment and is written last: a set-up that failed half way is simply done again.
$(VENV)/.ready: pyproject.toml constraints.txt | python-ok
	@rm -f $@
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP) $(TORCH)
	$(BIN)/$(PIP) -c constraints.txt -e '.[lab,trl,chat,classroom,test]'
	$(NO_MENUS)
	$(WRAP)
	@touch $@

$(COLAB)/.ready: pyproject.toml constraints.txt tests/colab/requirements.txt | python-ok
	@rm -f $@
	$(PYTHON) -m venv $(COLAB)
	$(COLAB)/bin/$(PIP) $(TORCH)
	$(COLAB)/bin/$(PIP) -r tests/colab/requirements.txt -e .
	@touch $@

test: setup
	$(BIN)/ruff check .
	$(MAKE) test-units
	$(MAKE) test-notebooks
	$(MAKE) test-browser
	$(MAKE) test-colab

test-units: setup
	OMP_NUM_THREADS=1 $(PYTEST) -n 2 --dist loadscope -m "not browser" $(ARGS)

# Every notebook top to bottom on one thread, small; a cell that raises is a failure. Outputs differ from the full setting's.
test-notebooks: setup
	$(ONE_THREAD) $(PYTEST) -n 2 --dist loadscope --nbval-lax --nbval-current-env --nbval-cell-timeout 180 \
	    --ignore notebooks/assignments/release notebooks

test-browser: setup
	$(ONE_THREAD) $(PYTEST) $(wildcard tests/test_browser*.py)

# The widgets once more under the versions that Colab ships.
test-colab: $(COLAB)/.ready
	OMP_NUM_THREADS=1 $(COLAB)/bin/python -m pytest tests/colab $(wildcard tests/test_widgets*.py)

bench: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench

results: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m lmrl_lab.results $(ARGS)

notebooks: setup
	$(BIN)/python tests/tools/notebooks.py run $(ARGS)

# The students' notebooks from the ones with answers, and a class's marks: make grade SUBMISSIONS=dir [OUT=grades.csv]
assignments: setup
	$(BIN)/python -m lmrl_lab.classroom build

grade: setup
	@test -n "$(SUBMISSIONS)" || { echo "make grade SUBMISSIONS=dir: a folder that holds STUDENT/A1.ipynb" >&2; exit 2; }
	$(BIN)/python -m lmrl_lab.classroom grade "$(SUBMISSIONS)" --out "$(or $(OUT),grades.csv)" $(ARGS)

address: setup
	$(BIN)/python tests/tools/notebooks.py address $(URL)

wheel: setup
	rm -rf build dist
	$(BIN)/pip wheel -q --no-deps -w dist .

clean:
	rm -rf $(VENV) $(COLAB) build dist *.egg-info
