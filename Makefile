# Two commands for people: `make run` shows a hypervisor at work, `make check` runs every test.
# Both install what Debian packages are missing, configure, build and act. The work is in tools/.
.PHONY: run check check-peers check-systems check-differential deps build clean

run:
	@tools/run

check:
	@tools/check

# The test ROMs on QEMU too; differences that test-roms/peers.def does not explain are shown. Some minutes.
check-peers:
	@tools/install-packages run peers
	@tools/build release pacifica roms
	@tools/check-peers build/release/pacifica build/release/test-roms

# Debian's Linux, Xen and firmware, here and on QEMU, as a table of CPU seconds. A quarter of an hour.
check-systems:
	@tools/install-packages run peers systems
	@tools/build release pacifica
	@tests/systems/run_systems build/release/pacifica

# Random instructions on this workstation's processor and here, for a long time; `make check` has a bounded run.
SEED ?= $(shell date +%s)
check-differential:
	@tools/install-packages check
	@tools/build release differential
	@build/release/tests/differential/differential --seed $(SEED) --count 50000000 --coverage 1000

# What the two use, by itself:
deps:
	@tools/install-packages run check

build:
	@tools/install-packages run
	@tools/build release all

clean:
	rm -rf build
