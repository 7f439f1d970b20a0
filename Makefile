# The words people say. `make` alone tells them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test check world bench load fuzz deps rust

SCENARIO ?= vapi
N ?= 10000
SECONDS ?= 60

help:
	@echo 'make demo                  a booking on the telephone, here and now: no key, no server (SCENARIO=twilio: through Twilio)'
	@echo 'make test                  every test, with every feature; and that the crate builds with none'
	@echo 'make check                 formatting and lints, with every feature and with none'
	@echo 'make world N=10000         so many invented calls in virtual time, every promise checked'
	@echo 'make bench                 the numbers of benches/README.md, on this machine (about 20 minutes with the build)'
	@echo 'make load                  two minutes of callers of all kinds, over every wire: the table, and target/load/report.html'
	@echo 'make fuzz TARGET=... SECONDS=60   what a stranger may send; without TARGET: which targets there are'
	@echo 'make deps                  the Debian packages that are missing'

# 90 seconds after the build.
demo: deps rust
	cargo build --bin pronto
	cargo run --quiet --bin pronto -- demo --scenario $(SCENARIO)

# One feature set for all tests, so that everything is built once; the crate without features is only checked.
test: deps rust
	@echo '== 1/2 the crate with no features'
	cargo check --quiet --no-default-features --lib
	@echo '== 2/2 every test with every feature'
	cargo test --all-features --no-fail-fast

check: deps rust
	cargo fmt --all --check
	cargo clippy --all-features --all-targets -- --deny warnings
	cargo clippy --no-default-features --lib -- --deny warnings

world: rust
	PRONTO_WORLD=$(N) cargo test --release --no-default-features --features sim --test world -- --nocapture

bench: deps rust
	sh benches/run.sh

# A gateway and a lab of its own, forty callers at once. Fails on what is wrong (calls dropped or answered wrong, frames
# lost or doubled), not on how fast it is: the machine may be busy.
load: deps rust
	cargo build --release --bin pronto
	target/release/pronto load $(PLAN) --json target/load/report.json --html target/load/report.html

# A stable compiler and a C++ compiler are enough.
fuzz: rust
ifndef TARGET
	@echo 'make fuzz TARGET=... with one of:'; ls fuzz/targets | sed 's/[.]rs$$/ /' | tr -d '\n'; echo
else
	@test -f fuzz/targets/$(TARGET).rs || { echo 'TARGET=$(TARGET): there is no such target; `make fuzz` says which there are'; exit 1; }
	@command -v c++ >/dev/null || { echo 'a C++ compiler is missing: apt-get install g++'; exit 1; }
	cd fuzz && mkdir -p corpus/$(TARGET) artifacts/$(TARGET) && \
	cargo run --release --features engines --bin $(TARGET) -- -max_total_time=$(SECONDS) -artifact_prefix=artifacts/$(TARGET)/ corpus/$(TARGET)
endif

rust:
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust 1.92 or newer from https://rustup.rs, open a new shell, try again'; exit 1; }

# A C compiler for SQLite and TLS, Opus, and espeak-ng as a voice. Silent when all of it is there.
deps:
	@missing=''; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v pkg-config >/dev/null || missing="$$missing pkg-config"; \
	command -v espeak-ng >/dev/null || missing="$$missing espeak-ng"; \
	{ command -v pkg-config >/dev/null && pkg-config --exists opus; } || missing="$$missing libopus-dev"; \
	test -n "$$missing" || exit 0; \
	if ! command -v apt-get >/dev/null; then \
		echo "missing:$$missing"; \
		echo 'these are the names of Debian and Ubuntu; install the same with the package manager of this system (macOS: brew install opus pkg-config espeak-ng), then try again'; \
		exit 1; \
	fi; \
	sudo=''; \
	if [ "$$(id -u)" != 0 ]; then \
		command -v sudo >/dev/null || { echo "missing:$$missing; run as root: apt-get install$$missing"; exit 1; }; \
		sudo=sudo; \
	fi; \
	echo "installing:$$missing"; \
	$$sudo apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null || \
	{ echo "could not install:$$missing; is the package list reachable? try: apt-get install$$missing"; exit 1; }
