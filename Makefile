# The front door. `make help` lists what it opens.

.DEFAULT_GOAL := build
SHELL := /bin/bash
JOBS ?= $(shell nproc)
MODELS ?= models
LISTEN ?= 127.0.0.1:8001
MINUTES ?= 60
sources = $(shell git ls-files '*.cc' '*.h')

.PHONY: help setup build up test asan tsan fuzz soak bench format clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Install what building and running needs
	deploy/setup.sh

build: setup ## Build everything, binaries in build/bin
	cmake --preset release
	cmake --build --preset release -j $(JOBS)

$(MODELS)/mnist/config.pbtxt: | build
	build/bin/torchfleet train examples/mnist/mnist.textproto --repository $(MODELS)

up: build $(MODELS)/mnist/config.pbtxt ## Build, train the digit model if it is not there, run the fleet
	build/bin/torchfleet up --repository $(MODELS) --listen $(LISTEN)

test: ## Every test: all of it optimised, then without torch under ASan and UBSan, then fuzzing
	deploy/setup.sh test
	cmake --preset release
	cmake --build --preset release -j $(JOBS)
	ctest --preset release
	$(MAKE) asan
	$(MAKE) fuzz

asan tsan: ## The tests without torch under a sanitizer
	cmake --preset $@ -DTORCHFLEET_BUILD_BENCH=OFF
	cmake --build --preset $@ -j $(JOBS)
	ctest --preset $@

fuzz: ## A short run of each fuzz target, from its corpus
	cmake --preset fuzz
	cmake --build --preset fuzz -j $(JOBS)
	ctest --preset fuzz -j $(JOBS)

soak: ## Mixed load, kills, freezes, drains and changes of rules at random, for MINUTES (60); SEED
	deploy/setup.sh test
	cmake --preset release
	cmake --build --preset release -j $(JOBS)
	build/venv/bin/python tests/soak/soak.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

bench: ## Measure every figure, beside the peers; results as in bench/README.md
	deploy/setup.sh bench
	cmake --preset release
	cmake --build --preset release -j $(JOBS)
	build/venv/bin/python bench/run.py
	build/bin/torchfleet-bench-wire
	if [ -x build/bin/torchfleet-bench-http1 ]; then build/bin/torchfleet-bench-http1; fi

format: ## Format our C++ as .clang-format says
	clang-format -i $(sources)

clean: ## Remove what was built; build/venv, build/node and build/peers, which were installed, stay
	rm -rf build/bin build/release build/debug build/asan build/tsan build/fuzz
