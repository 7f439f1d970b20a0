# The words people say. `make` alone tells them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test check world bench load fuzz deps clients rust

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
	@echo 'make clients               the clients of Vapi that make test runs against the gateway, under target/'

# 90 seconds after the build.
demo: deps rust
	cargo build --bin pronto
	cargo run --quiet --bin pronto -- demo --scenario $(SCENARIO)

# One feature set for all tests, so that everything is built once; the crate without features is only checked.
test: deps rust clients
	@echo '== 1/2 the crate with no features'
	cargo check --quiet --no-default-features --lib
	@echo '== 2/2 every test with every feature'
	PRONTO_CLIENTS=required cargo test --all-features --no-fail-fast

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

# Installs the Debian packages named in $$missing, if any; $$brew are the same ones where there is no Debian.
define install
	test -n "$$missing" || exit 0; \
	if ! command -v apt-get >/dev/null; then \
		echo "missing:$$missing"; \
		echo "these are the names of Debian and Ubuntu; install the same with the package manager of this system (macOS: brew install $$brew), then try again"; \
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
endef

# A C compiler for SQLite and TLS, Opus, and espeak-ng as a voice. Silent when all of it is there.
deps:
	@missing=''; brew='opus pkg-config espeak-ng'; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v pkg-config >/dev/null || missing="$$missing pkg-config"; \
	command -v espeak-ng >/dev/null || missing="$$missing espeak-ng"; \
	{ command -v pkg-config >/dev/null && pkg-config --exists opus; } || missing="$$missing libopus-dev"; \
	$(install)

# What was written for Vapi and is pointed at the gateway by the tests: the official TypeScript and Python clients, as
# their lists pin them, and the strict crate (a first build of several minutes). A copy of a list says that it is
# installed.
clients: deps rust
	@missing=''; brew='node python'; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(install)
	@from=tests/vapi_clients/typescript; to=target/vapi-clients/typescript; \
	cmp -s $$from/package-lock.json $$to/installed && exit 0; \
	echo "installing the official TypeScript client of Vapi into $$to"; \
	mkdir -p $$to && cp $$from/package.json $$from/package-lock.json $$from/.npmrc $$to/ && \
	(cd $$to && npm ci --silent) && cp $$to/package-lock.json $$to/installed || \
	{ echo "could not install the TypeScript client: is npm's registry reachable? try: cd $$to && npm ci"; exit 1; }
	@from=tests/vapi_clients/python; to=target/vapi-clients/python; \
	cmp -s $$from/requirements.txt $$to/installed && test -x $$to/bin/python && exit 0; \
	echo "installing the official Python client of Vapi into $$to"; \
	python3 -m venv --clear $$to && \
	$$to/bin/python -m pip install --quiet --disable-pip-version-check --requirement $$from/requirements.txt && \
	cp $$from/requirements.txt $$to/installed || \
	{ echo "could not install the Python client: is its registry reachable? try: $$to/bin/python -m pip install -r $$from/requirements.txt"; exit 1; }
	@test -x target/strict/debug/strict || echo 'building the strict client of Vapi into target/strict: several minutes, once'
	@cargo build --quiet --locked --manifest-path tests/vapi_clients/strict/Cargo.toml --target-dir target/strict
