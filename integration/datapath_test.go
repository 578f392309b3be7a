// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/node"
)

// Work that a device can do for the guest's network stack: without one of them packets are cut to the MTU, or summed,
// on the way, where a packet of 64 KiB and no sum would do between two programs on one host.
var (
	guestOffloads = []string{
		"tx-scatter-gather", "tx-checksum-ip-generic", "tx-generic-segmentation", "tx-tcp-segmentation",
		"tx-tcp6-segmentation", "rx-checksum", "rx-gro", "rx-gro-hw",
	}
	// The TAP sends to the guest what it announces here.
	tapOffloads = []string{
		"tx-scatter-gather", "tx-checksum-ip-generic", "tx-generic-segmentation", "tx-tcp-segmentation", "tx-tcp6-segmentation",
	}
)

// Bits of a virtio network device (VIRTIO 1.2, 5.1.3) that the guest's driver has to have taken.
var virtioNetBits = map[string]int{
	"CSUM": 0, "GUEST_CSUM": 1, "GUEST_TSO4": 7, "GUEST_TSO6": 8, "HOST_TSO4": 11, "HOST_TSO6": 12, "MRG_RXBUF": 15,
	"RING_INDIRECT_DESC": 28, "RING_EVENT_IDX": 29,
}

// Every offload is on from the program in the pod to the pod's veth.
func TestPodOffloads(t *testing.T) {
	ctx := begin(t)
	if shared.runtime == "runc" {
		t.Skip("a container of runc has the veth itself")
	}
	pod := startPod(t, node.Pod{Name: "offloads"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
	expectLines(t, "the guest's NIC", pod.exec(id, "probe", "offloads", "eth0"), guestOffloads)
	bits := strings.TrimSpace(pod.exec(id, "cat", "/sys/class/net/eth0/device/features"))
	for name, bit := range virtioNetBits {
		if bit >= len(bits) || bits[bit] != '1' {
			t.Errorf("the driver has not taken %s, its features are %s", name, bits)
		}
	}
	inside := func(words ...string) string {
		t.Helper()
		out, err := shared.Runner().Run(ctx, "nsenter", append([]string{"--net=" + pod.netns()}, words...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	tap := regexp.MustCompile(`tap\d+_kata`).FindString(inside("cat", "/proc/net/dev"))
	if tap == "" {
		t.Fatal("the pod's namespace has no TAP")
	}
	for _, link := range []string{tap, "eth0"} {
		on := inside(filepath.Join(shared.Out, "node", "probe"), "offloads", link)
		expectLines(t, link+" of the pod's namespace", on, tapOffloads)
	}
}

// netns is the path of the pod's network namespace on the node.
func (p *pod) netns() string {
	p.t.Helper()
	var status struct {
		Info struct {
			RuntimeSpec struct {
				Linux struct {
					Namespaces []struct{ Type, Path string }
				}
			}
		}
	}
	if err := shared.CrictlJSON(p.ctx, &status, "inspectp", p.id); err != nil {
		p.t.Fatal(err)
	}
	for _, ns := range status.Info.RuntimeSpec.Linux.Namespaces {
		if ns.Type == "network" && ns.Path != "" {
			return ns.Path
		}
	}
	p.t.Fatalf("crictl inspectp names no network namespace: %+v", status)
	return ""
}

func expectLines(t *testing.T, where, text string, wants []string) {
	t.Helper()
	lines := map[string]bool{}
	for line := range strings.Lines(text) {
		lines[strings.TrimSpace(line)] = true
	}
	for _, want := range wants {
		if !lines[want] {
			t.Errorf("%s lacks %s, it has: %s", where, want, strings.Join(strings.Fields(text), " "))
		}
	}
}

// Image layers are read in large pieces: with the kernel's own 128 KiB the way through the emulated disk is most of
// the time.
func TestPodReadsLayersAhead(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("a container of runc has no disks")
	}
	pod := startPod(t, node.Pod{Name: "ahead", Handler: "kata-erofs"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
	seen := strings.Fields(pod.exec(id, "sh", "-c", "cat /sys/block/vd*/queue/read_ahead_kb"))
	if len(seen) < 2 {
		t.Fatalf("the guest has %d disks, and at least its own and a layer were expected", len(seen))
	}
	for _, kib := range seen {
		if kib != "512" {
			t.Errorf("the disks are read ahead by %v KiB, want 512 for each", seen)
			break
		}
	}
}

// So is a directory of the host.
func TestPodReadsSharesAhead(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("a container of runc has the directory itself")
	}
	pod := startPod(t, node.Pod{Name: "ahead-share"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"},
		Mounts: []node.Mount{{HostPath: t.TempDir(), ContainerPath: "/shared"}}})
	// A share's backing device has the major number 0, the disks' have others.
	seen := strings.Fields(pod.exec(id, "sh", "-c", "cat /sys/class/bdi/0:*/read_ahead_kb"))
	if !slices.Contains(seen, "512") {
		t.Errorf("the shares are read ahead by %v KiB, want 512", seen)
	}
}
