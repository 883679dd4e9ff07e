# MecaPy: every target builds the whole workspace in the release profile, so the engine is compiled once.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test serve bench soak guests image lint fmt build toolchain

CARGO ?= cargo
MECAPY := target/release/mecapy
# The pinned toolchain for guests (and a pip of its own) goes before the system's.
export PATH := $(CURDIR)/target/toolchain/bin:$(PATH)

announce = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

help: ## Show this list
	@printf 'MecaPy: computations over REST, each in a fresh sandbox.\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nThe first run compiles the engine and the interpreter (10 to 20 minutes on two cores); later runs take seconds.\n'

demo: build image ## Run a plane truss through a live server: result, figure and timing
	$(call announce,demo: a truss through a live server)
	@tests/demo.sh $(MECAPY)

test: build guests image ## Run every test: unit, sandbox conformance, through the binary, tidy rules
	$(call announce,tests)
	@tests/run.sh

serve: build image ## Start an embedded server on http://127.0.0.1:8000 (Ctrl-C stops it)
	$(call announce,server: data in ./mecapy-data and its admin key in ./mecapy-data/admin.key)
	@exec $(MECAPY) serve

bench: build guests image ## Measure against native Python, Celery and docker run (ONLY=shared,celery: a part of it)
	$(call announce,bench)
	@tests/bench/run.sh $(if $(ONLY),--only $(ONLY))

soak: build image ## Run 10 000 tasks while workers, Redis and PostgreSQL die, and count what is lost (ARGS="--tasks N …")
	$(call announce,soak)
	@tests/toolchain/services.sh
	@target/release/soak $(ARGS)

guests: toolchain ## Build the WebAssembly test programs and fixtures into target/guests
	$(call announce,guests: WebAssembly programs from their sources)
	@tests/toolchain/guests.sh

image: build toolchain ## Fetch the pinned Python interpreter and build its images (cached)
	$(call announce,interpreter images)
	@$(MECAPY) python build

lint: ## Check formatting and clippy, warnings being errors
	$(call announce,format and clippy)
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	@$(CARGO) fmt --manifest-path guest-sdk/rust/Cargo.toml --all --check
	@$(CARGO) clippy --quiet --manifest-path guest-sdk/rust/Cargo.toml --target-dir target/guest-sdk --all-targets -- -D warnings

fmt: ## Format the Rust sources
	@$(CARGO) fmt --all
	@$(CARGO) fmt --manifest-path guest-sdk/rust/Cargo.toml --all

build: toolchain
	$(call announce,build: cargo build --release --workspace --bins)
	@$(CARGO) build --release --workspace --bins

toolchain:
	$(call announce,toolchain)
	@tests/toolchain/setup.sh
