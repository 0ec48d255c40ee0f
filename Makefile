SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: build demo test lint test-loaded attack fuzz faults soak conformance cost bench bench-go deploy-test release

# Builds bin/catenary.
build:
	go build -o bin/catenary ./cmd/catenary

# Starts a chat in Rails with catenary, and prints the page to open. Needs no Redis.
demo:
	script/demo

# Runs all tests, as CI does. RAILS_SOURCE=/path uses a checkout of Rails.
test:
	script/test

# Runs gofmt, vet and staticcheck, and builds for macOS, which only releases do otherwise.
lint:
	test -z "$$(gofmt -l cable cmd config protocol rpc)"
	go vet ./...
	GOOS=darwin go build -o /dev/null ./cmd/catenary
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.1 ./...

# Runs all tests three times beside eight busy loops: make test-loaded ROUNDS=1 LOOPS=4.
# CATENARY_TEST_PATIENCE=2 doubles how long tests wait for an event.
test-loaded:
	script/test-loaded

# Runs the whole attack suite, and prints how many attacks passed and failed.
attack:
	script/attack

# Runs every fuzz target in turn: make fuzz TIME=3m. A failing input fails in `make test` from then on.
fuzz:
	script/fuzz $(or $(TIME),1m) $(ONLY)

# Plays the transcripts and random conversations against Rails and against catenary, on both versions of
# Rails, or on a checkout: make conformance RAILS_SOURCE=/path.
conformance:
	script/conformance

# Makes Redis, Rails and browsers fail: plays the table of docs/faults.md.
faults:
	script/install build rails redis
	FAULTS=all go test -race ./cmd/catenary/test/faults -run Fault -v -count=1 -timeout 20m | grep -vE '^ *(=== |--- PASS)'

# Runs browsers that count everything they receive while parts fail at random: make soak SOAK=10m SEED=1.
soak: export SOAK ?= 10m
soak: export SEED ?= 1
soak:
	script/install build rails redis
	go test -race ./cmd/catenary/test/faults -run '^TestSoak$$' -v -count=1 -timeout 24h | grep -vE '^ *(=== |--- PASS)'

# Measures Rails' CPU time per command, natively and through catenary: writes docs/cost.md.
cost:
	script/cost

# Measures Rails' own Action Cable and catenary in turn: writes docs/bench.md and docs/bench.svg.
bench:
	script/bench

# Compares Go's benchmarks of two commits: make bench-go OLD=v0.1.0 NEW=HEAD. By default the last commit
# and the work tree.
bench-go:
	script/bench-go $(or $(OLD),HEAD) $(or $(NEW),.)

# Restarts two nodes in turn behind nginx and behind HAProxy, with 2,000 pages each: about two minutes.
deploy-test:
	script/install rails redis npm deploy
	go test ./cmd/catenary/test/deploy -run '^TestRollingRestart' -count=1 -v -args -rolling $(or $(PAGES),2000) | grep -vE '^ *(=== |--- PASS)'

# What people install, into dist/: archives, .deb, gems with the binary, an image's context, checksums. Of a commit.
release:
	script/install release
	script/release
