# shellcheck shell=bash
# The first process of PID namespaces that containers share, see anchor/anchor.c.
# Sourced by build-image and run by the tests of agent/sandboxns.

compile_anchor() {
	gcc -Os -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector \
		-fno-asynchronous-unwind-tables -Wl,--build-id=none -s -o "$2" "$1/anchor/anchor.c"
}
