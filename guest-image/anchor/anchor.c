/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The first process of a PID namespace that containers share: it reaps orphans,
 * and ends on SIGTERM or SIGINT. It is a program of its own, and without a C
 * library, because it starts with the first container of a pod: the agent in this
 * role costs an emulated guest as much time as the container itself, and any guest
 * several megabytes.
 */

#include <asm/unistd.h>

#define SIGINT 2
#define SIGTERM 15
#define SIGCHLD 17
#define WNOHANG 1
#define SIG_BLOCK 0
#define BIT(signal) (1UL << ((signal)-1))

static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

/* The stack is as the kernel left it, and never returned to. */
__attribute__((noreturn, force_align_arg_pointer)) void _start(void)
{
	/* Signals that are blocked wait to be taken, also those that this process
	 * would ignore as the first of its namespace. */
	unsigned long mask = BIT(SIGCHLD) | BIT(SIGTERM) | BIT(SIGINT);
	long signal;

	call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof(mask));
	do {
		while (call(__NR_wait4, -1, 0, WNOHANG, 0) > 0)
			;
		signal = call(__NR_rt_sigtimedwait, (long)&mask, 0, 0, sizeof(mask));
	} while (signal != SIGTERM && signal != SIGINT);
	for (;;)
		call(__NR_exit_group, 0, 0, 0, 0);
}
