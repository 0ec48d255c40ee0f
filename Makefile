SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: build demo test lint test-loaded attack fuzz faults soak conformance cost bench bench-go deploy-test

# The binary, in bin/catenary.
build:
	go build -o bin/catenary ./cmd/catenary

# A real Rails app, catenary and a page to open. Needs no Redis.
demo:
	script/demo

# Everything, as CI runs it; RAILS_SOURCE=/path does so on a checkout of Rails.
test:
	script/test

# gofmt, vet and staticcheck.
lint:
	test -z "$$(gofmt -l cable cmd config protocol rpc)"
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.1 ./...

# The same three times in a row beside eight busy loops: make test-loaded ROUNDS=1 LOOPS=4. How long a test waits for what
# must come, CATENARY_TEST_PATIENCE=2 doubles.
test-loaded:
	script/test-loaded

# What hostile clients do, in full, and how many attacks held and fell.
attack:
	script/attack

# Every fuzz target in turn: make fuzz TIME=3m. What one finds fails in `make test` from then on.
fuzz:
	script/fuzz $(or $(TIME),1m) $(ONLY)

# The transcripts and random conversations alone, against Rails and against catenary, on both versions of Rails, or on a
# checkout of another: make conformance RAILS_SOURCE=/path.
conformance:
	script/conformance

# What happens when Redis, Rails and browsers fail: plays the matrix of docs/faults.md.
faults:
	script/install build rails redis
	FAULTS=all go test -race ./cmd/catenary/test/faults -run Fault -v -count=1 -timeout 20m | grep -vE '^ *(=== |--- PASS)'

# Browsers that keep accounts, while parts fail at random: make soak SOAK=10m SEED=1.
soak: export SOAK ?= 10m
soak: export SEED ?= 1
soak:
	script/install build rails redis
	go test -race ./cmd/catenary/test/faults -run '^TestSoak$$' -v -count=1 -timeout 24h | grep -vE '^ *(=== |--- PASS)'

# Rails' CPU for a command, natively and through catenary: writes docs/cost.md.
cost:
	script/cost

# Rails' own Action Cable and catenary, measured turn by turn: writes docs/bench.md and docs/bench.svg.
bench:
	script/bench

# Go's benchmarks of two commits: make bench-go OLD=v0.1.0 NEW=HEAD. By default the last commit and the work tree.
bench-go:
	script/bench-go $(or $(OLD),HEAD) $(or $(NEW),.)

# A rolling restart of two nodes behind nginx and behind HAProxy, with 2,000 pages each: about two minutes.
deploy-test:
	script/install rails redis npm deploy
	go test ./cmd/catenary/test/deploy -run '^TestRollingRestart' -count=1 -v -args -rolling $(or $(PAGES),2000) | grep -vE '^ *(=== |--- PASS)'
