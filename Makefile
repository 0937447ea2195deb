# SPDX-License-Identifier: MIT
# The front door. CMake does the work (CMakePresets.json); every target may be repeated at will.

JOBS     ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX   ?= /usr/local
# fidelity: the folder of recordings
DIR       = tests/fidelity
# fuzz: seconds per target
FUZZ_SECONDS = 600

RECLAIM   = build/release/reclaim
CONFIGURE = $(MAKE) --no-print-directory build/$(1)/build.ninja
BUILD     = cmake --build --preset $(1) -j $(JOBS)

.DEFAULT_GOAL = build
.PHONY: build setup demo demo-sqlite test fidelity truth replay-matrix bench asan tsan fuzz format check-format install clean help

build: setup build/release/build.ninja ## build the release
	@$(call BUILD,release) --target all

setup: ## install the packages that building and testing need, if they are missing
	@scripts/setup

build/%/build.ninja: | setup
	@cmake --preset $*

demo: setup build/release/build.ninja ## record a real program, find out how much memory it needs
	@$(call BUILD,release) --target reclaim-cli reclaim-record
	@scripts/demo $(RECLAIM) build/demo

demo-sqlite: setup build/release/build.ninja ## run SQLite in a memory budget smaller than its databases
	@$(call BUILD,release) --target example-sqlite
	@build/release/examples/sqlite

test: build ## build, then run every test, then again with AddressSanitizer and UBSan
	@ctest --preset release -j $(JOBS)
	@$(MAKE) --no-print-directory asan

fidelity: setup build/release/build.ninja ## compare counters with a real kernel's [DIR=folder]
	@$(call BUILD,release) --target reclaim-cli
	$(RECLAIM) fidelity $(DIR)

truth: build ## compare predictions with real programs on a real kernel
	@scripts/setup record
	@RECLAIM=$(CURDIR)/$(RECLAIM) tests/truth/compare

replay-matrix: build ## replay every trace on real memory, beside its prediction
	@scripts/replay-matrix $(RECLAIM) build/replay-matrix

bench: build ## measure speed
	@for b in build/release/bench_*; do [ ! -x $$b ] || { echo "== $${b##*/}"; $$b; } || exit 1; done

asan: setup build/asan/build.ninja ## the tests with AddressSanitizer and UBSan
	@$(call BUILD,asan) --target all
	@ctest --preset asan -j $(JOBS) $(CTEST_FLAGS)

tsan: setup build/tsan/build.ninja ## the tests with ThreadSanitizer
	@$(call BUILD,tsan) --target all
	@ctest --preset tsan -j $(JOBS) $(CTEST_FLAGS)

fuzz: ## run every fuzz target [FUZZ_SECONDS=600 each]
	@scripts/setup dev
	@$(call CONFIGURE,fuzz)
	@$(call BUILD,fuzz) --target all
	@scripts/fuzz build/fuzz $(FUZZ_SECONDS)

format: ## lay out the sources
	@scripts/setup dev
	@git ls-files '*.c' '*.h' | xargs clang-format -i

check-format: ## fail when a source is laid out otherwise
	@scripts/setup dev
	@git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

install: build ## install the program [PREFIX=/usr/local]
	@cmake --install build/release --prefix $(PREFIX)

clean: ## remove everything that was built
	@rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
