# `make` lists what there is; the work is done by the scripts in .make/.

.DEFAULT_GOAL := help
.PHONY: help setup run build dev test lint advisories bench soak chaos sqlx clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## get what is missing to build and run
	@.make/setup.sh run

run: build ## build what has changed and serve, on VESTRY_ADDR (127.0.0.1:3000)
	@.make/run.sh

build: setup ## the release binary with its assets inside: target/release/vestry
	@.make/build.sh

dev: setup ## build for development, serve, and do both again at every change
	@.make/dev.sh

test: ## everything: format, lints, walls between crates, queries, Rust tests, browser tests
	@.make/setup.sh test
	@.make/test.sh

lint: ## what can be said about the code without running it
	@.make/setup.sh test
	@.make/lint.sh

advisories: ## ask RustSec whether a dependency has a known vulnerability; needs the network
	@.make/setup.sh advisories
	@.make/advisories.sh

bench: build ## measure, each figure beside its floor; also written to target/bench.json
	@.make/bench.sh

soak: build ## mixed load for DURATION=240 seconds; prints memory and connections over time
	@.make/soak.sh $(or $(DURATION),240)

chaos: setup ## kill processes at random under load, KILLS=50 times, and see whether anything was lost
	@.make/chaos.sh

sqlx: setup ## describe the queries anew in server/*/.sqlx, after a change of SQL or of a migration
	@.make/sqlx.sh

clean: ## remove what was built; the tools stay in the cache
	@.make/clean.sh
