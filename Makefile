# Works on a machine with Python 3.11 or newer, make and a package index; everything is installed into .venv.
PYTHON ?= python3
PORT ?= 8501
# What the model tells apart, skin or retina; the defaults of what follows are its own.
TASK ?= skin
# Where its images are: python -m data.download fetches HAM10000 into data/raw/ham10000, and the folder of APTOS 2019 is
# made of what was published, which lies in SOURCE.
DATASET_skin = $(firstword $(wildcard data/raw/ham10000 ../shared/ham10000) data/raw/ham10000)
DATASET_retina = data/raw/aptos2019
DATASET ?= $(DATASET_$(TASK))
SOURCE ?= ../shared/aptos2019
# Initial weights: downloaded by Keras, or a file where there is no network.
INIT_skin = $(firstword $(wildcard ../shared/pretrained/mobilenet_v2_1.0_imagenet_no_top.weights.h5) imagenet)
INIT_retina = ../shared/pretrained/efficientnet_lite0_imagenet.npz
INIT ?= $(INIT_$(TASK))
FOLDS ?= 0 1 2 3 4
# Options of model.train beside its defaults: the network, and how long it is trained.
NETWORK_retina = --backbone efficientnet_lite0 --crop band --grade-weight 2
NETWORK ?= $(NETWORK_$(TASK))
EPOCHS_retina = --low-resolution 0.67 --head-epochs 1 --low-resolution-epochs 4 --middle-resolution-epochs 3 \
	--full-resolution-epochs 4 --averaged-epochs 2
EPOCHS ?= $(EPOCHS_$(TASK))
# Of a second run, which goes on from the first one's network.
MORE_retina = --head-epochs 0 --low-resolution-epochs 0 --middle-resolution-epochs 0 --full-resolution-epochs 6 \
	--full-resolution-from image --full-resolution-learning-rate 1e-4 --averaged-epochs 3
MORE ?= $(MORE_$(TASK))
# Folders of images that are none of the task's, which the quality gate should refuse.
OUTSIDE_skin = ../shared/everyday_photos ../shared/aptos2019
OUTSIDE_retina = ../shared/everyday_photos ../shared/ham10000 ../shared/isic2017_training
OUTSIDE ?= $(wildcard $(OUTSIDE_$(TASK)))
# Labelled images of other clinics: the folder of ISIC 2017's training part.
ELSEWHERE_skin = $(wildcard ../shared/isic2017_training)
ELSEWHERE ?= $(ELSEWHERE_$(TASK))
# Its three parts: to train on, to choose on, to score for final figures.
SECOND := data/raw/isic2017
# The last run of each fold.
LAST_skin = $(if $(ELSEWHERE),both,longer)
RUNS_skin = $(foreach fold,$(FOLDS),runs/$(LAST_skin)$(fold))
RUNS_retina = $(foreach fold,$(FOLDS),runs/retina_more$(fold))
RUNS ?= $(RUNS_$(TASK))
# How the artifact is written, beside model.export's defaults.
# One network of the retina is served, of 14 MB; those of the other folds answer their fold.
EXPORT_retina = --views 2 --finer-maps --served 1
EXPORT ?= $(EXPORT_$(TASK))
# The artifact folder that make train and make export write, and make evaluate and make bench measure.
OUTPUT ?= model/weights/$(TASK)
# The rows of make reproduce.
REPRODUCED ?= build/reproduced.csv
BIN := .venv/bin
# As text of an argument of $(if).
COMMA := ,
# Processes that run the tests; tests/conftest.py says in what order.
TEST_PROCESSES ?= 2

.PHONY: help install run test check format train second export studies reproduce evaluate bench samples counts serve image api clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | sort

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

install: .venv/installed-dev ## create .venv with everything, for users and developers

run: .venv/installed ## serve the dashboard on http://127.0.0.1:8501 (PORT=...)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m dashboard.server --port $(PORT)

# The tests start many processes: none should compile every module again, whatever the environment says.
test check: export PYTHONDONTWRITEBYTECODE :=
# They share the processor: threads that wait for one another spin on it.
test check: export OPENBLAS_NUM_THREADS := 1
test check: export OMP_NUM_THREADS := 1
test check: export TF_NUM_INTRAOP_THREADS := 1
test check: export TF_NUM_INTEROP_THREADS := 1

test: .venv/installed-dev ## run the tests (TEST_PROCESSES=, default 2)
	$(BIN)/python -m pytest -n $(TEST_PROCESSES)

check: .venv/installed-dev ## format, lint, types and tests: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(TEST_PROCESSES)

format: .venv/installed-dev ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# glibc would give large buffers back after each step and take them again, which is half of the processor time.
train: export MALLOC_ARENA_MAX := 1
train: export MALLOC_MMAP_MAX_ := 0
train: export MALLOC_TRIM_THRESHOLD_ := 17179869184
train: export MALLOC_TOP_PAD_ := 268435456

# A dataset's folder that is made of what was published.
MADE := $(filter data/raw/aptos2019/%,$(DATASET)/HAM10000_metadata.csv)

$(MADE):
	$(BIN)/python -m data.datasets.aptos2019 --source $(SOURCE) --output $(@D)

define train_skin
	for fold in $(FOLDS); do \
		$(BIN)/python -m model.train --dataset $(DATASET) --init $(INIT) --validation-fold $$fold --seed $$((fold + 1)) \
			--run runs/fold$$fold --resume || exit 1; \
		$(BIN)/python -m model.train --dataset $(DATASET) --init runs/fold$$fold --validation-fold $$fold --seed $$((fold + 11)) \
			--head-epochs 0 --low-resolution-epochs 0 --run runs/longer$$fold --resume || exit 1; \
		$(if $(ELSEWHERE),$(BIN)/python -m model.train --dataset $(DATASET) --init runs/longer$$fold --validation-fold $$fold \
			--seed $$((fold + 31)) --head-epochs 0 --low-resolution-epochs 0 --middle-resolution-epochs 2 \
			--full-resolution-epochs 2 --extra $(SECOND)/training --extra-share 0.25 --init-share 0.5 \
			--run runs/both$$fold --resume || exit 1;) \
	done
endef

define train_retina
	for fold in $(FOLDS); do \
		$(BIN)/python -m model.train --task $(TASK) --dataset $(DATASET) --init $(INIT) --validation-fold $$fold \
			--seed $$((fold + 1)) $(NETWORK) $(EPOCHS) --run runs/$(TASK)$$fold --resume || exit 1; \
		$(BIN)/python -m model.train --task $(TASK) --dataset $(DATASET) --init runs/$(TASK)$$fold --validation-fold $$fold \
			--seed $$((fold + 21)) $(NETWORK) $(MORE) --run runs/$(TASK)_more$$fold --resume || exit 1; \
	done
endef

train: second $(MADE) ## train one network a fold, of skin then also on a second source (goes on where it was), and write the artifact (TASK=, DATASET=, INIT=, ELSEWHERE=, OUTPUT=)
	$(train_$(TASK))
	$(MAKE) export studies

second: .venv/installed-dev ## write the three parts of a second source, images of other clinics (ELSEWHERE=folder)
	$(if $(ELSEWHERE),$(BIN)/python -m data.datasets.isic2017 --source $(ELSEWHERE) --output $(SECOND))

export: second $(MADE) ## write the artifact of finished runs again (TASK=, RUNS=)
	$(BIN)/python -m model.export --run $(RUNS) --dataset $(DATASET) --output $(OUTPUT) $(EXPORT) \
		$(if $(ELSEWHERE),--elsewhere $(SECOND)/choosing)

# What has to do with age and site, other clinics and repeat photographs.
define studies_skin
	$(BIN)/python -m model.studies.clinical --artifact $(OUTPUT)
	$(BIN)/python -m model.studies.repeatability --artifact $(OUTPUT)
	$(if $(ELSEWHERE),$(BIN)/python -m model.studies.external --artifact $(OUTPUT) --name "ISIC 2017$(COMMA) locked part" \
		--images $(SECOND)/locked/images --labels $(SECOND)/locked/HAM10000_metadata.csv)
endef

# What a camera's field tells.
define studies_retina
	$(BIN)/python -m model.studies.shortcut --artifact $(OUTPUT) --dataset $(DATASET)
endef

studies: second $(MADE) ## measure heatmaps, robustness, the quality gate, other clinics and repeat photographs, and add them to the artifact (TASK=, OUTSIDE=, ELSEWHERE=folders)
	$(BIN)/python -m model.studies.gate --artifact $(OUTPUT) --dataset $(DATASET) --outside $(OUTSIDE) \
		$(if $(ELSEWHERE),--elsewhere $(SECOND)/locked)
	$(BIN)/python -m model.studies.heatmaps --artifact $(OUTPUT) --dataset $(DATASET)
	$(BIN)/python -m model.studies.robustness --artifact $(OUTPUT) --dataset $(DATASET)
	$(studies_$(TASK))

reproduce: .venv/installed-dev ## go from the dataset through split, brief training, export and evaluation to the comparison, and say which committed figures that confirms (TASK=, DATASET=, INIT=)
	@mkdir -p $(dir $(REPRODUCED))
	$(BIN)/python -m model.reproduce --artifact $(OUTPUT) --dataset $(DATASET) --init $(INIT) --output $(REPRODUCED) $(NETWORK)

evaluate: .venv/installed ## print every metric with intervals from the committed test predictions (TASK=)
	$(BIN)/python -m model.evaluate --artifact $(OUTPUT)

bench: .venv/installed ## measure speed, side by side with Keras predict() and tf-keras-vis (TASK=)
	$(BIN)/python -m model.bench --artifact $(OUTPUT)

samples: .venv/installed-dev ## draw the synthetic sample images again
	$(BIN)/python -m data.synthetic

counts: .venv/installed ## count and measure a task's dataset again for the Dataset page (TASK=, DATASET=)
	$(BIN)/python -m data.datasets.ham10000 --task $(TASK) --dataset $(DATASET)
	$(BIN)/python -m data.datasets.appearance --task $(TASK) --dataset $(DATASET)
	$(BIN)/python -m data.datasets.near_copies --task $(TASK) --dataset $(DATASET)

.venv/installed-api: requirements-api.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-api.txt
	@touch $@

serve: .venv/installed-api ## serve many users: nginx, dashboards (WORKERS=, default one a core) and the API on http://127.0.0.1:8501 (PORT=...)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m dashboard.serve --port $(PORT) $(if $(WORKERS),--dashboards $(WORKERS))

image: ## build the container image of the dashboard, which opens with the model of TASK=
	docker build --target dashboard --build-arg TASK=$(TASK) -t lesionlens .

api: ## build the container image of the API, which carries the model of TASK= alone
	docker build --target api --build-arg TASK=$(TASK) -t lesionlens-api .

clean: ## remove .venv and caches; runs and data stay
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
