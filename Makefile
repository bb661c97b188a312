# Everything built, downloaded or started goes to the cache folder, nothing into the tree.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# One setting for tests and images, so that both use one build cache. The race detector needs cgo: make test-unit GOTESTFLAGS=-race CGO_ENABLED=1
export CGO_ENABLED ?= 0

CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubemdm
VERSION ?= $(shell git describe --tags --always --dirty)

# Developer tools are built from go.tools.mod, once per content of that file and Go release.
TOOLS   := $(CACHE)/tools/$(shell { go env GOVERSION; cat go.tools.mod; } | sha256sum | cut -c1-16)
TOOLED  := $(TOOLS)/.built
GOLANGCI_LINT := $(TOOLS)/golangci-lint-kube-api-linter

# Results of the test targets as go test -json, one file a target. GOTESTFLAGS=-race, -run X ... pass through.
RESULTS ?= $(CACHE)/results
GOTESTFLAGS ?=
GOTEST   = $(TOOLS)/gotestsum --format=pkgname-and-test-fails --hide-summary=skipped --jsonfile=$(RESULTS)/$@.json -- $(GOTESTFLAGS)
UNIT     = $$(go list ./... | grep -vE '/test/(browser|integration|scale|system)(/|$$)')
FUZZTIME ?= 10s

# What the build tag pkcs11 changes: packages that are tested as a whole with it, and one with a test that needs it.
PKCS11      := ./internal/keys/... ./mdmserver/config ./mdmserver/push ./cmd/kubectl-mdm/pushvendor
PKCS11_FLOW := ./test/integration/servers

# What generators write. verify fails when running them again changes any of it.
CHART     := charts/kubemdm
LIVE_OPENAPI := controllers/live/openapi
APIMACHINERY := $(addprefix k8s.io/apimachinery/pkg/,apis/meta/v1 runtime version)
GENERATED := 'api/*zz_generated*' $(LIVE_OPENAPI) docs/reference.md config/crd/bases config/rbac/role.yaml config/webhook/manifests.yaml config/prometheus/rules.yaml \
  $(CHART)/files/crds $(CHART)/files/dashboards $(CHART)/files/role.yaml $(CHART)/files/manifests.yaml $(CHART)/README.md

##@ Everyday

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-zA-Z0-9_-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Compile everything.
	go build ./...

.PHONY: fmt
fmt: $(TOOLED) ## Format the code and its imports.
	$(GOLANGCI_LINT) fmt

.PHONY: demo
demo: images ## Enrol simulated Macs and PCs on the local cluster, or on the one of KUBECONFIG with CLUSTER=existing.
	go run ./hack/demo $(if $(CLUSTER),--cluster=$(CLUSTER))

.PHONY: demo-down
demo-down: ## Stop the local cluster and remove all that it started.
	go run ./hack/cluster down

.PHONY: kubeconfig
kubeconfig: ## Print the path of the local cluster's admin kubeconfig (with make -s).
	@go run ./hack/cluster kubeconfig

##@ Code generation

.PHONY: generate
generate: $(TOOLED) ## Generate DeepCopy methods, the OpenAPI of the live view and the reference page for api/.
	$(TOOLS)/controller-gen object paths=./api/...
	$(TOOLS)/openapi-gen --go-header-file=/dev/null --report-filename=/dev/null --output-dir=$(LIVE_OPENAPI) --output-file=zz_generated.openapi.go --output-model-name-file=zz_generated.model_name.go \
	  --output-pkg=github.com/kubemdm/kubemdm/$(LIVE_OPENAPI) $(APIMACHINERY:%=--readonly-pkg=%) ./api/live/v1alpha1 $(APIMACHINERY)
	$(TOOLS)/crd-ref-docs --log-level=ERROR --source-path=api --config=hack/api-reference.yaml --renderer=markdown --output-path=docs/reference.md

.PHONY: manifests
manifests: $(TOOLED) ## Generate CRDs, RBAC and webhook configuration, for config/ and for the chart.
	$(TOOLS)/controller-gen crd paths=./api/v1alpha1/... output:crd:dir=config/crd/bases
	$(TOOLS)/controller-gen rbac:roleName=kubemdm-manager paths=./controllers/... output:rbac:dir=config/rbac
	$(TOOLS)/controller-gen webhook paths=./webhooks/... output:webhook:dir=config/webhook
# The chart's templates read these files, so that config/ and the chart can not drift apart.
	rm -rf $(CHART)/files/crds
	cp -r config/crd/bases $(CHART)/files/crds
	cp config/rbac/role.yaml config/webhook/manifests.yaml $(CHART)/files
	$(TOOLS)/helm-docs --log-level=warning --chart-search-root=charts
	go run ./hack/monitoring

##@ Checks

.PHONY: verify
verify: verify-fmt verify-modules verify-generated vet lint verify-imports verify-chart verify-kustomize ## Check all that needs no running part: formatting, go.mod, generated files, lint, import rules, chart, kustomize.

.PHONY: verify-fmt
verify-fmt:
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi

.PHONY: verify-modules
verify-modules:
	go mod tidy -diff
	cd test/bench && go mod tidy -diff

.PHONY: verify-generated
verify-generated: generate manifests
	@dirty=$$(git status --porcelain -- $(GENERATED)); \
	if [ -n "$$dirty" ]; then echo "not as generated (make generate manifests, then commit):"; echo "$$dirty"; git diff -- $(GENERATED); exit 1; fi

.PHONY: vet
vet: ## Run go vet.
	go vet ./...
	CGO_ENABLED=1 go vet -tags=pkcs11 $(PKCS11) $(PKCS11_FLOW) ./test/softhsm
	for arch in $(AGENT_ARCHS); do GOOS=windows GOARCH=$$arch go vet $(AGENT)/... || exit; done

.PHONY: lint
lint: $(TOOLED) ## Run golangci-lint with the Kubernetes API linter on api/.
	$(GOLANGCI_LINT) run
	cd test/bench && $(GOLANGCI_LINT) run
	CGO_ENABLED=1 $(GOLANGCI_LINT) run --build-tags=pkcs11 $(PKCS11) $(PKCS11_FLOW) ./test/softhsm/...
	GOOS=windows $(GOLANGCI_LINT) run $(AGENT)/...

.PHONY: verify-imports
verify-imports:
	go test -count=1 ./test/imports/

.PHONY: verify-chart
verify-chart: $(TOOLED)
	$(TOOLS)/helm lint --strict $(CHART)

.PHONY: verify-kustomize
verify-kustomize: $(TOOLED)
	for file in $$(git ls-files 'config/*kustomization.yaml'); do $(TOOLS)/kustomize build "$$(dirname "$$file")" >/dev/null; done

##@ Tests

.PHONY: test
test: test-unit test-browser test-integration test-pkcs11 test-system ## Run unit tests, those in a browser, integration tests, those with an HSM, and the one main path on a real cluster.

.PHONY: test-unit
test-unit: $(TOOLED) | $(RESULTS) ## Run every test that needs neither an API server nor a cluster.
	$(GOTEST) $(UNIT)
	cd test/monitoring/rules && $(GOTEST:.json=-rules.json) ./...
	cd test/bench && $(GOTEST:.json=-bench.json) ./...

.PHONY: test-browser
test-browser: $(TOOLED) | $(RESULTS) ## Run the tests of the enrolment page in a real Chromium.
	$(GOTEST) -count=1 -timeout=20m ./test/browser

.PHONY: test-integration
test-integration: $(TOOLED) | $(RESULTS) ## Run the integration tests on a real kube-apiserver and etcd.
	KUBEBUILDER_ASSETS=$$(go run ./hack/cluster assets); export KUBEBUILDER_ASSETS; \
	$(GOTEST) -count=1 -timeout=20m $$(go list ./test/integration/... | grep -v /docs$$)

.PHONY: test-pkcs11
test-pkcs11: export CGO_ENABLED = 1
test-pkcs11: $(TOOLED) | $(RESULTS) ## Run the tests of keys in an HSM, with SoftHSM in its place. PKCS#11 needs cgo.
	$(GOTEST) -count=1 -tags=pkcs11 $(PKCS11)
	KUBEBUILDER_ASSETS=$$(CGO_ENABLED=0 go run ./hack/cluster assets); export KUBEBUILDER_ASSETS; \
	$(GOTEST:.json=-flow.json) -count=1 -timeout=20m -tags=pkcs11 -run=HSM $(PKCS11_FLOW)

.PHONY: test-system
test-system: cluster-ready | $(RESULTS) ## Run the one main path with real pods on the local cluster, and the Windows agent under Wine.
	KUBECONFIG=$$(go run ./hack/cluster kubeconfig); export KUBECONFIG; \
	$(GOTEST) -count=1 -p=1 -timeout=20m ./test/system/path/... ./test/system/agent/...

.PHONY: test-docs
test-docs: $(TOOLED) | $(RESULTS) ## Run the commands of the documentation on a real kube-apiserver.
	KUBEBUILDER_ASSETS=$$(go run ./hack/cluster assets); export KUBEBUILDER_ASSETS; \
	$(GOTEST) -count=1 -timeout=30m ./test/integration/docs

.PHONY: test-system-all
test-system-all: test-docs cluster-ready | $(RESULTS) ## Run all system tests, one package after the other (each takes minutes).
	KUBECONFIG=$$(go run ./hack/cluster kubeconfig); export KUBECONFIG; \
	$(GOTEST) -count=1 -p=1 -timeout=120m $$(go list ./test/system/... | grep -v /teardown$$) ./test/system/teardown # stops the cluster

.PHONY: bench
bench: ## Measure the server against NanoMDM and scepserver, and write docs/benchmarks.md. Takes a quarter of an hour at most.
	cd test/bench && go run . --docs=../../docs/benchmarks.md

.PHONY: microbench
microbench: ## Run the benchmarks of single packages.
	go test -run='^$$' -bench=. -benchmem $(UNIT)

.PHONY: bench-scale
bench-scale: SIZES ?= 1000,10000,100000
bench-scale: ## Run the operator with 1,000, 10,000 and 100,000 devices (SIZES) on a real kube-apiserver and etcd; the largest takes an hour.
	KUBEBUILDER_ASSETS=$$(go run ./hack/cluster assets); export KUBEBUILDER_ASSETS; \
	go test -count=1 -timeout=180m -v ./test/scale -args -sizes=$(SIZES)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s).
	FUZZTIME=$(FUZZTIME) hack/fuzz

##@ Binaries, images and the local cluster

PROGRAMS := manager mdmserver devicesim apnsfake depfake
PACKAGE_manager   := ./cmd/manager
PACKAGE_mdmserver := ./cmd/mdmserver
PACKAGE_devicesim := ./test/devicesim/cmd/devicesim
PACKAGE_apnsfake  := ./test/apnsfake/cmd/apnsfake
PACKAGE_depfake   := ./test/depfake/cmd/depfake

# mdmserver calls Apple's push service, and the manager judges whether a serving certificate is publicly trusted: both need the public roots.
ROOTS := --ca-certificates=/etc/ssl/certs/ca-certificates.crt
IMAGEFLAGS_mdmserver := $(ROOTS)
IMAGEFLAGS_manager   := $(ROOTS)

# The live view's libraries bring gRPC, whose pages for traces make the linker keep every method of every type: a quarter of the binary.
BUILDFLAGS_manager := -tags=grpcnotrace

IMAGES    := $(CACHE)/images
IMAGE_TAG ?= dev

.PHONY: images
images: $(PROGRAMS:%=image-%) ## Build the images as archives, without Docker.

.PHONY: $(PROGRAMS:%=image-%)
$(PROGRAMS:%=image-%): image-%: | $(IMAGES)
	go build $(BUILDFLAGS_$*) -ldflags="-s -w -X main.version=$(VERSION)" -o $(IMAGES)/bin/$* $(PACKAGE_$*)
	go run ./hack/image --name docker.io/kubemdm/$*:$(IMAGE_TAG) --binary $(IMAGES)/bin/$* --user 65532:65532 --entrypoint /$* $(IMAGEFLAGS_$*) --out $(IMAGES)/$*.tar

# The kubectl plugin, and what an MDM vendor needs without a cluster. Each is one static binary.
COMMANDS := ./cmd/kubectl-mdm ./tools/vendorsign

.PHONY: commands
commands: | $(IMAGES) ## Build the kubectl plugin and the vendor's tool.
	for command in $(COMMANDS); do go build -ldflags="-s -w -X main.version=$(VERSION)" -o $(IMAGES)/bin/ $$command || exit; done
	@ls $(addprefix $(IMAGES)/bin/,$(notdir $(COMMANDS)))

AGENT       := ./cmd/kubemdm-agent
AGENT_ARCHS := amd64 arm64

.PHONY: agent
agent: | $(IMAGES) ## Build the Windows agent for amd64 and arm64.
	for arch in $(AGENT_ARCHS); do GOOS=windows GOARCH=$$arch go build -ldflags="-s -w -X main.version=$(VERSION)" -o $(IMAGES)/bin/kubemdm-agent-$$arch.exe $(AGENT) || exit; done
	@ls $(IMAGES)/bin/kubemdm-agent-*.exe

.PHONY: cluster-ready
cluster-ready: $(TOOLED) images
	go run ./hack/cluster up
	go run ./hack/cluster load $(PROGRAMS:%=$(IMAGES)/%.tar)

.PHONY: tools
tools: $(TOOLED) ## Build the developer tools of go.tools.mod.
	@echo $(TOOLS)

$(TOOLED):
	GOBIN=$(TOOLS) go install -modfile=go.tools.mod tool
	touch $@

$(RESULTS) $(IMAGES):
	mkdir -p $@
