# The two commands are `make demo` and `make test`. Each uses OpenBLAS where it is there or can be installed, and does without
# where it cannot: everything works in pure Rust.

CARGO ?= cargo

.PHONY: demo test check suite full demo-small python python-torch kills valgrind efficientnet peers plot-streaming clean

demo:
	@features=$$(./scripts/openblas-feature); set -x; $(CARGO) run --release $$features -- demo

# What decides whether a change lands.
test: check suite full demo-small python

check:
	$(CARGO) fmt --check
	@if command -v python3 > /dev/null; then ./scripts/check-dependencies; else echo "no python3: dependencies not checked"; fi
	$(CARGO) clippy --all-targets -- --deny warnings
	$(CARGO) clippy --package arcos -- --deny warnings
	$(CARGO) clippy --package arcos-python -- --deny warnings
	$(CARGO) clippy --package arcos --features images -- --deny warnings
	@for features in "" train images; do (set -x; RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --no-deps --package arcos --features "$$features") || exit 1; done
	@rust=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	if rustup run $$rust rustc --version > /dev/null 2>&1; then \
		set -ex; rustup run $$rust cargo check --package arcos --lib --target-dir target/oldest-rust; \
		rustup run $$rust cargo check --target-dir target/oldest-rust; \
	else echo "no Rust $$rust (rustup toolchain install $$rust): nothing was compiled with it"; fi

# Unit, property, reference and command tests, doc tests; examples are built; each benchmark runs once.
suite:
	$(CARGO) test
	$(CARGO) test --bench heads --bench measures --bench preprocessing --bench streaming

# With the ONNX runtime, and with OpenBLAS where that can be had.
full:
	@features="--features onnx $$(./scripts/openblas-feature)"; set -ex; \
	$(CARGO) clippy --all-targets $$features -- --deny warnings; \
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --no-deps --package arcos $$features; \
	$(CARGO) test $$features

demo-small:
	$(CARGO) run -- demo --classes 20 --train-rows 600 --test-rows 600 --dimension 64 \
		--epochs 10 --batch-size 16 --out target/demo-small
	test -s target/demo-small/result.png

# The wheel of the Python bindings, its types and its tests; says so where Python or its packages cannot be had.
python:
	@if command -v python3 > /dev/null; then ./scripts/python-bindings; else echo "no python3: the Python bindings are not tested"; fi

# The modules for PyTorch, the examples for it and for JAX, weights of pytorch-metric-learning: some GB of packages.
python-torch:
	python3 -m venv target/python-torch
	target/python-torch/bin/pip install --quiet --requirement bindings/python/requirements.txt jax pillow pytorch-metric-learning torch torchvision
	cd bindings/python && ../../target/python-torch/bin/maturin build --release --interpreter ../../target/python-torch/bin/python --out ../../target/python-torch/wheels
	target/python-torch/bin/pip install --quiet --no-deps --force-reinstall target/python-torch/wheels/arcos-*.whl
	cd bindings/python && ../../target/python-torch/bin/python -m mypy --config-file pyproject.toml --package arcos
	cd bindings/python && ../../target/python-torch/bin/python -m pytest --quiet tests/test_torch.py tests/test_loading.py tests/test_examples.py tests/test_pages.py

# A run that is killed 60 times: a minute.
kills:
	ARCOS_KILLS=60 $(CARGO) test --test program killed_again_and_again

# The calls into OpenBLAS, and all else of a step, without a bad read or write.
valgrind:
	@features=$$(./scripts/openblas-feature); set -x; $(CARGO) build --release $$features
	valgrind --quiet --error-exitcode=9 target/release/arcos bench --batch 32 --dim 64 --classes 500 --runs 1 --update
	valgrind --quiet --error-exitcode=9 target/release/arcos demo --classes 6 --train-rows 60 --test-rows 30 --dimension 16 \
		--epochs 1 --open-set --embed 4 --out target/demo-valgrind

# EfficientNet-B0 through PyTorch's exporter and tract: some GB of packages from PyPI.
efficientnet:
	python3 -m venv target/efficientnet
	target/efficientnet/bin/pip install --quiet torch torchvision onnx onnxscript numpy pillow
	target/efficientnet/bin/python tests/reference/make_efficientnet.py target/efficientnet_b0
	$(CARGO) test --release --features onnx --test images -- --ignored efficientnet --nocapture

# The tables of docs/benchmarks.md: three quarters of an hour, and some GB of packages from PyPI.
peers:
	python3 -m venv target/peers
	target/peers/bin/pip install --quiet --requirement benches/peers/requirements.txt ./bindings/python
	@features=$$(./scripts/openblas-feature); set -x; $(CARGO) build --release $$features
	target/peers/bin/python benches/peers/peers.py
	@features=$$(./scripts/openblas-feature); set -x; $(CARGO) build --release $$features --example retrieval
	target/peers/bin/python benches/peers/retrieval.py --rows 100000 --features target/peers/embeddings.npy \
		--command "target/release/examples/retrieval target/peers/embeddings.npy target/peers/embeddings_labels.npy"

# The figure of docs/benchmarks.md: five minutes and 10 GB.
plot-streaming:
	@features=$$(./scripts/openblas-feature); set -x; $(CARGO) run --release $$features -- bench --runs 3 \
		--classes 1000,3000,10000,30000,100000,300000,1000000 --plot docs/img/streaming.png

clean:
	$(CARGO) clean
