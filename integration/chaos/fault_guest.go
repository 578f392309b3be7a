// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The guest is struck from its second container, which is privileged: the kernel starts the program of core_pattern
// for each process that crashes, as root in the guest's own namespaces, where it can reach the agent, process 1, and
// the processes of all containers. In the guest's file system it is the container's busybox. The pattern has room for
// 127 bytes, most of which are the path of the container: so names are short, and applets are links.

func killAgent(ctx context.Context, c *cycle) error { return c.fromCore(ctx, "kill", "-QUIT 1") }

// killInit kills the first process of the first container, and waits until the guest has told of it.
func killInit(ctx context.Context, c *cycle) error {
	if err := c.fromCore(ctx, "killall", "-9 "+firstProgram); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		list, gaps := c.events.of(c.containers[0])
		if gaps || slices.ContainsFunc(list, func(e taskEvent) bool { return e.name == "exit" }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kill the first process of a container: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
}

// fromCore has the guest's kernel run an applet of busybox.
func (c *cycle) fromCore(ctx context.Context, applet, words string) error {
	if len(c.containers) < 2 {
		return errNoTarget
	}
	for _, root := range []string{"/run/kata-containers/shared/containers/", "/run/kata-containers/"} {
		pattern := fmt.Sprintf("|%s%s/rootfs/%s %s", root, c.containers[1], applet, words)
		if len(pattern) > 127 { // core(5)
			return fmt.Errorf("the pattern %q is too long", pattern)
		}
		script := fmt.Sprintf(`ln -sf bin/busybox /%s; echo '%s' >/proc/sys/kernel/core_pattern; sleep 9 & kill -SEGV $!; wait`, applet, pattern)
		if err := c.inGuest(ctx, script); err != nil {
			return err
		}
	}
	return nil
}

// panicGuest has the guest's kernel panic for want of memory, in a cgroup of its own with so little that it takes no
// time. A cgroup below the container's has limits only when the processes of the container's are in another.
func panicGuest(ctx context.Context, c *cycle) error {
	return c.inGuest(ctx, `echo 2 >/proc/sys/vm/panic_on_oom; cd /sys/fs/cgroup && mkdir -p all full
for p in $(cat cgroup.procs); do echo $p >all/cgroup.procs; done 2>/dev/null
echo +memory >cgroup.subtree_control && echo 4M >full/memory.max && echo $$ >full/cgroup.procs && exec probe eat 150000000`)
}

// fillTmpfs leaves no room in the pod's /dev/shm and in the root file systems of its containers, as far as that is in
// the guest's memory, and makes some again.
func fillTmpfs(ctx context.Context, c *cycle) error {
	return c.inGuest(ctx, `dd if=/dev/zero of=/dev/shm/full bs=64k 2>/dev/null; rm /dev/shm/full; :`)
}

// guestLimit bounds what is done in the guest.
const guestLimit = 60 * time.Second

// inGuest runs a script in the privileged container. That the call fails is no error: the guest may not outlive it.
func (c *cycle) inGuest(ctx context.Context, script string) error {
	if len(c.containers) < 2 {
		return errNoTarget
	}
	ctx, cancel := context.WithTimeout(ctx, guestLimit)
	defer cancel()
	_, _ = c.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: c.containers[1], Cmd: []string{"sh", "-c", script}})
	return nil
}
