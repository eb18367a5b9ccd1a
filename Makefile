# The two commands are `make demo` and `make test`. Each uses OpenBLAS where it is there or can be installed, and does without
# where it cannot: everything works in pure Rust.

CARGO ?= cargo

.PHONY: demo test check suite demo-small clean

demo:
	@features=$$(./scripts/openblas-feature); set -x; $(CARGO) run --release $$features -- demo

# What decides whether a change lands.
test: check suite
	@features=$$(./scripts/openblas-feature); \
	if [ -n "$$features" ]; then \
		set -ex; \
		$(CARGO) clippy --all-targets $$features -- --deny warnings; \
		$(CARGO) test $$features; \
	fi
	$(MAKE) demo-small

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- --deny warnings
	$(CARGO) clippy --no-default-features -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --no-deps --features train

# Unit, property, reference and command tests, doc tests; examples are built; each benchmark runs once.
suite:
	$(CARGO) test
	$(CARGO) test --bench heads --bench streaming

demo-small:
	$(CARGO) run -- demo --classes 20 --train-rows 600 --test-rows 600 --dimension 64 \
		--epochs 10 --batch-size 16 --out target/demo-small
	test -s target/demo-small/result.png

clean:
	$(CARGO) clean
