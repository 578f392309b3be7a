# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Everything is built below out/; what takes long
# (guest kernel, containerd) is kept in $(KATAPOD_CACHE) under a hash of its
# inputs, so that a fresh clone reuses it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export KATAPOD_CACHE ?= $(HOME)/.cache/katapod
export GOFLAGS ?= -buildvcs=false

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Prints a line per package, the log of what fails, and every skipped test with its reason.
GO_TEST := go tool gotestsum --format pkgname-and-test-fails --format-icons text --
GO_BUILD := CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)"
GO_SOURCES := $(shell find agent cmd hypervisor network protocols sandbox shim -name '*.go' -not -name '*_test.go') go.mod go.sum
BINARIES := out/bin/containerd-shim-kata-v2 out/bin/kata-agent out/bin/kata-ctl
GUEST := out/guest/vmlinux out/guest/katapod.img

##@ Try it

.PHONY: demo
demo: build guest node ## Run a pod in a VM under a private containerd, show it, and clean up
	go run ./integration/demo

.PHONY: bench
bench: build guest node ## Measure everything beside runc; writes out/bench.json and .html
	go run ./integration/bench

.PHONY: overhead
overhead: build guest node ## Measure what a pod takes beside its guest, for limits and RuntimeClass
	go run ./integration/bench -only '^overhead$$' -overhead sandbox/sizing/overhead.json
	go test ./docs -run TestRuntimeClass -update

##@ Build

.PHONY: build
build: $(BINARIES) ## Build the three binaries into out/bin

out/bin/%: $(GO_SOURCES)
	@mkdir -p $(@D)
	$(GO_BUILD) -o $@ ./cmd/$*

.PHONY: guest
guest: $(GUEST) ## Build the guest kernel and root image into out/guest

out/guest/vmlinux: $(wildcard guest-image/kernel/* guest-image/kernel/patches/*) guest-image/build-kernel guest-image/debian.bash | packages
	guest-image/build-kernel

IMAGE_SOURCES := $(shell find guest-image -maxdepth 1 -type f -not -name '*.go' -not -name '*.md') $(shell find guest-image/skeleton -type f)

out/guest/katapod.img: out/bin/kata-agent $(IMAGE_SOURCES) | packages
	guest-image/build-image out/bin/kata-agent

.PHONY: node
node: packages ## Build containerd, CNI plugins, crictl and runc for the private node
	go run ./integration/node/build

.PHONY: protos
protos: ## Regenerate the Go code of the agent protocol
	protocols/generate
	shim/sandboxapi/sandboxpb/generate

.PHONY: packages
packages: ## Install the Debian packages that building and testing need, if any is missing
	@integration/node/packages

PREFIX ?= /usr/local
SHARE := $(DESTDIR)/usr/share/kata-containers
DEFAULTS := $(DESTDIR)/usr/share/defaults/kata-containers

.PHONY: install
install: build guest ## Install binaries, guest and configuration (DESTDIR, PREFIX)
	install -D -t $(DESTDIR)$(PREFIX)/bin out/bin/containerd-shim-kata-v2 out/bin/kata-ctl
	install -D -m 0644 out/guest/vmlinux $(SHARE)/vmlinux
	install -D -m 0644 out/guest/katapod.img $(SHARE)/kata-containers.img
	install -D -m 0644 sandbox/config/configuration.toml $(DEFAULTS)/configuration.toml

##@ Check

.PHONY: test
test: lint test-unit test-node ## Run every test: unit, network namespace, VM and containerd
	@echo "make test: all tests passed"

.PHONY: test-unit
test-unit: build guest ## Run the tests that need no containerd, with the race detector
	CGO_ENABLED=1 $(GO_TEST) -race -count=1 -timeout 30m $$(go list ./... | grep -v /integration)

.PHONY: test-node
test-node: build guest node ## Run the tests on a real containerd with real VMs
	$(GO_TEST) -count=1 -timeout 30m $$(go list ./integration/... | grep -v /integration/engines)

.PHONY: stdio
stdio: build guest node ## Run the tests of standard streams with 1,000 short-lived containers
	KATAPOD_STDIO_CONTAINERS=1000 go test -v -count=1 -timeout 40m ./integration/stdio

.PHONY: engines
engines: build guest node ## Run the tests under each engine: containerd 1.7 to 2.4, nerdctl, Docker
	$(GO_TEST) -count=1 -timeout 30m -p 1 ./integration/engines/...

.PHONY: chaos
chaos: build guest node ## Kill, stop, starve pods at every step of their life (CHAOS_N, CHAOS_SEED, CHAOS_CYCLE)
	go run ./integration/chaos

.PHONY: security
security: build guest node ## Attack running pods: what a container, a guest and a VMM that was taken over can reach
	go test -v -count=1 -timeout 20m ./integration/security

.PHONY: critest
critest: build guest node ## Run the CRI conformance suite, with and without a pause container
	go run ./integration/critest $(CRITEST_FLAGS)

# FUZZ_TIME is such that all of them take less than ten minutes on two processors.
export FUZZ_TIME ?= 5s
export FUZZ_ONLY ?=
.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZ_TIME (5s), or those that match FUZZ_ONLY
	integration/fuzz/run

SOAK_N ?= 200
.PHONY: soak
soak: build guest node ## Start and stop SOAK_N (200) pods, and 20 at once; a table of what grows, and out/soak.svg
	go run ./integration/soak -pods $(SOAK_N) $(SOAK_FLAGS)

.PHONY: difftest
difftest: build guest node ## Run containers under runc and under kata from the same spec, and compare
	go run ./integration/difftest $(DIFFTEST_FLAGS)

.PHONY: nested
nested: build guest ## Run the KVM, vhost and cgroup v2 tests in a nested node (slow)
	integration/nested/run

.PHONY: lint
lint: packages ## Run gofmt, go vet and staticcheck, and compare generated code with its source
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted" >&2; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	protocols/generate --check
	shim/sandboxapi/sandboxpb/generate --check

##@ Housekeeping

.PHONY: clean
clean: ## Remove out/; the cache in $(KATAPOD_CACHE) stays
	rm -rf out

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
