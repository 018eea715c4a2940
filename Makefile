# Two commands for people: `make run` shows a hypervisor at work, `make check` runs every test.
# Both install what Debian packages are missing, configure, build and act. The work is in tools/.
.PHONY: run check deps build clean

run:
	@tools/run

check:
	@tools/check

# What the two use, by itself:
deps:
	@tools/install-packages run check

build:
	@tools/install-packages run
	@tools/build release all

clean:
	rm -rf build
