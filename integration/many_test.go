// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/katapod/katapod/integration/node"
)

// manyContainers is how many a pod has to bear at once.
const manyContainers = 20

// A pod of twenty containers in one PID namespace, after one that prepared something for them and ended, with a pause
// container and without.
func TestPodOfMany(t *testing.T) {
	for _, handler := range podHandlers() {
		t.Run(handler, func(t *testing.T) {
			pod := startPod(t, node.Pod{
				Name: "many-" + handler, Handler: handler, SharePID: true, Hostname: "many",
				Sysctls: map[string]string{"kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "20000 30000"},
			})
			prepares := pod.start(node.Container{Name: "prepares", Args: []string{"sh", "-c", "echo prepared >/dev/shm/file; exit 0"}})
			pod.waitExited(prepares)
			var ids []string
			for i := range manyContainers {
				// Each is found in the process list by its number.
				ids = append(ids, pod.start(node.Container{Name: fmt.Sprintf("c%d", i), Args: []string{"sleep", strconv.Itoa(100000 + i)}}))
			}
			first, last := ids[0], ids[manyContainers-1]
			if got := strings.Count(pod.exec(first, "ps"), "sleep 1000"); got != manyContainers {
				t.Errorf("the first container sees %d of %d containers' processes", got, manyContainers)
			}
			for _, c := range []struct{ script, want string }{
				{"cat /dev/shm/file", "prepared\n"},
				{"hostname", "many\n"},
				{"cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_local_port_range", "1\n20000\t30000\n"},
				{"readlink /proc/1/exe >/dev/null; tr '\\0' ' ' </proc/1/cmdline | grep -c 'sleep 1000'", "0\n"},
			} {
				if got := pod.exec(last, "sh", "-c", c.script+"; true"); got != c.want {
					t.Errorf("%s printed %q, want %q", c.script, got, c.want)
				}
			}
			// One that its neighbour ends does not end the others, and is made anew beside them.
			pod.exec(first, "sh", "-c", fmt.Sprintf("kill -KILL $(ps | awk '/[s]leep %d/{print $1}')", 100000+manyContainers-1))
			pod.waitExited(last)
			if code := pod.exitCode(last); code != 137 {
				t.Errorf("the container that was killed has exit code %d", code)
			}
			again := pod.start(node.Container{Name: "again", Args: []string{"sleep", "100099"}})
			if got := strings.Count(pod.exec(again, "ps"), "sleep 1000"); got != manyContainers {
				t.Errorf("the container that came later sees %d processes of the containers, want %d", got, manyContainers)
			}
		})
	}
}

// Containers with PID namespaces of their own, which is Kubernetes' default, see themselves alone; a port of one that
// listens on the guest's loopback is reached by many connections at once while the pod works.
func TestPodOwnPIDs(t *testing.T) {
	pod := startPod(t, node.Pod{Name: "own-pids"})
	server := pod.start(node.Container{Name: "server", Args: []string{"probe", "echo", "127.0.0.1:7001"}})
	busy := pod.start(node.Container{Name: "busy", Args: []string{"sh", "-c", "while :; do :; done"}})
	pod.waitLog("server", "listening")
	if a, b := pod.exec(server, "readlink", "/proc/self/ns/pid"), pod.exec(busy, "readlink", "/proc/self/ns/pid"); a == b {
		t.Errorf("both containers are in the PID namespace %s", a)
	}
	if got := pod.exec(server, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline"); !strings.HasPrefix(got, "probe echo") {
		t.Errorf("process 1 of the container is %q", got)
	}
	if got := pod.exec(busy, "ps"); strings.Contains(got, "probe echo") {
		t.Errorf("the container sees its neighbour's processes: %s", got)
	}
	address := pod.forward(t, 7001)
	probe := filepath.Join(shared.Out, "node", "probe")
	var group errgroup.Group
	for range 16 {
		group.Go(func() error {
			_, err := shared.Runner().Run(pod.ctx, probe, "exchange", address, strconv.Itoa(1<<20))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Errorf("16 connections of 1 MiB and back at once: %v", err)
	}
}
