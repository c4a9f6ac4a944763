# `make bench` and `make test` are all it takes on a fresh machine; docs/setup.md has the details.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help bench report why reference keep selftest gate-ledger bench-setup bench-pump bench-switches bench-ledger bench-planted bench-trend bench-rate bench-agreement bench-gate bench-gate-sessions bench-gate-ledger bench-report docs peers test test-slow test-peers test-pythons setup setup-trace setup-test lint check-c fuzz lock clean

BIN := .venv/bin

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20
	@echo '  PYTHON=path chooses the interpreter, ARGS="..." is passed on to vnetbench or pytest'

bench: setup ## set up, then measure the ladder with the quick profile
	@$(BIN)/vnetbench run --profile quick $(ARGS); status=$$?; \
		echo 'To see it as a page: make report'; exit $$status

report: setup ## a page of the newest results, or of ARGS="RUN…", opened where there is a browser
	@$(BIN)/vnetbench report --open $(ARGS)

why: setup-trace ## why UDP overlays are slow: prices, counts, a picture (under 20 minutes)
	@$(BIN)/vnetbench why $(ARGS)

# Status 3 is what the tracer could not observe on this machine: a skip, its reasons printed. Whatever
# else has no verdict is status 4: a change may have caused it.
gate-ledger: setup-trace ## whether the pump does more for a packet than it did: counts, under a minute
	@$(BIN)/vnetbench gate --baseline results/ledger-baseline --ledger-only $(ARGS) || \
		{ status=$$?; test $$status -eq 3 && echo 'skipped: the tracer could not observe everything, see above'; }

selftest: setup ## how often ab cries wolf here, and catches what is planted (20 minutes)
	@$(BIN)/vnetbench selftest $(ARGS)

# Under new names: what is kept in results/ is replaced by `make keep` only.
reference: NEW := results/$(shell date -u +%Y-%m-%dT%H-%M-%SZ)-reference
reference: setup-trace ## measure the sets that results/ keeps anew, beside them (40 minutes)
	@$(BIN)/vnetbench run --blocks 8 -o $(NEW)
	@$(BIN)/vnetbench run veth vxlan tun-udp flannel-udp --arm native --blocks 2 \
		$(foreach size,64 512 1400,--probe packet_rate_$(size)) \
		$(foreach load,10 50 90,--probe delay_$(load)) --probe ledger -o $(NEW)-loaded
	@$(BIN)/vnetbench why -o $(NEW)-why
	@$(BIN)/vnetbench why --claims --json > $(NEW)-why/claims.json

keep: ## copy SET=results/… to results/NAME, without what no reader of a kept set needs
	@python3 tools/keep.py $(SET) $(NAME)

bench-setup: setup ## how long scenarios, and stars of up to 64 hosts, take to come and go
	@PYTHONPATH=tests $(BIN)/python tests/bench_setup.py $(ARGS)

bench-pump: setup ## how fast the pump is, against flannel's loop and the kernel's own paths
	@PYTHONPATH=tests $(BIN)/python tests/bench_pump.py $(ARGS)

bench-switches: setup ## what each of the pump's switches gives, as the table of docs/pump.md
	@PYTHONPATH=tests $(BIN)/python tests/bench_switches.py $(ARGS)

bench-ledger: setup-trace ## whether independent counts agree, and with theory: 20 ledgers of each path
	@PYTHONPATH=tests $(BIN)/python tests/bench_ledger.py $(ARGS)

bench-planted: setup ## whether why finds handicaps that were hidden in a pump
	@PYTHONPATH=tests $(BIN)/python tests/bench_planted.py $(ARGS)

bench-trend: setup ## how long trend takes over 1,000 result sets of realistic size
	@PYTHONPATH=tests $(BIN)/python tests/bench_trend.py $(ARGS)

bench-rate: setup ## how long packet-rate searches take and how far they agree, and iperf3 and sockperf
	@PYTHONPATH=tests $(BIN)/python tests/bench_rate.py $(ARGS)

bench-agreement: setup ## our goodput beside iperf3's, our round-trip time beside sockperf's
	@PYTHONPATH=tests $(BIN)/python tests/bench_agreement.py $(ARGS)

bench-gate: setup-test ## how often the gate errs, by simulation, as the table of docs/trust.md (minutes)
	@PYTHONPATH=tests $(BIN)/python tests/bench_gate.py $(ARGS)

bench-gate-sessions: setup-trace ## how often the whole gate fails although nothing changed: 8 sessions (half an hour)
	@PYTHONPATH=tests $(BIN)/python tests/bench_gate_sessions.py $(ARGS)

bench-gate-ledger: setup-trace ## how often the ledger's gate catches what is planted in a pump (a minute a round)
	@PYTHONPATH=tests $(BIN)/python tests/bench_gate_ledger.py $(ARGS)

bench-report: setup-test ## how large reports are and how fast they open, also with 200 variants
	@PYTHONPATH=tests $(BIN)/python tests/bench_report.py $(ARGS)

docs: setup ## make the documents whose figures come from the kept result sets, from docs/templates
	@$(BIN)/python tools/docs.py $(ARGS)

peers: setup ## install the programs that `vnetbench peers` sets the pump beside, where the system has them
	@$(BIN)/python tools/peers.py

test: lint check-c ## set up, then lint, type-check and run all tests but those of the next two
	@$(BIN)/pytest -m 'not slow and not peers' $(ARGS)

test-slow: setup-test ## the slow tests: ledgers, integrity, whole gates and comparisons, terminals and browsers
	@$(BIN)/pytest -m 'slow and not peers' $(ARGS)

test-peers: setup-test peers ## the tests with OpenVPN, pasta, QEMU, etcd, … after installing them
	@$(BIN)/pytest -m peers $(ARGS)

test-pythons: ## the fast tests with every supported Python on this machine, in build/pythons
	@python3 tools/pythons.py $(ARGS)

setup: ## install what a run needs: system packages, .venv, the C extension
	@tools/bootstrap.sh

setup-trace: ## the same with the tracer, for the ledger
	@tools/bootstrap.sh --trace

setup-test: ## the same with what the tests need
	@tools/bootstrap.sh --test

lint: setup-test ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tools

check-c: setup-test ## the C tests, plain and under the sanitizers
	$(MAKE) -C csrc test test-sanitized

fuzz: ## fuzz the C functions that see strangers' bytes, FUZZ_SECONDS=20 each (needs clang)
	$(MAKE) -C csrc fuzz

lock: ## pin the Python dependencies anew (UPGRADE=1: to their newest releases)
	@tools/lock.sh

clean: ## remove everything that make made
	rm -rf .venv build dist *.egg-info bench/_vnetbench*.so bench/_guest_agent .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find bench csrc tests tools -name __pycache__ -prune -exec rm -rf {} +
	$(MAKE) -C csrc clean
