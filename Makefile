# Two commands for people: `make run` shows a hypervisor at work, `make check` runs every test.
# Both install what Debian packages are missing, configure, build and act. The work is in tools/.
.PHONY: run check check-peers deps build clean

run:
	@tools/run

check:
	@tools/check

# The test ROMs on QEMU too; differences that test-roms/peers.def does not explain are shown. Some minutes.
check-peers:
	@tools/install-packages run peers
	@tools/build release pacifica roms
	@tools/check-peers build/release/pacifica build/release/test-roms

# What the two use, by itself:
deps:
	@tools/install-packages run check

build:
	@tools/install-packages run
	@tools/build release all

clean:
	rm -rf build
