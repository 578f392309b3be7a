// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/sandbox/storage"
	"github.com/katapod/katapod/sandbox/template"
)

// clonesEnv names the variable that says how many clones TestVMClonesDiffer makes.
const clonesEnv = "KATAPOD_TEST_CLONES"

// TestVMClonesDiffer starts pods from one template, a few at a time, and sees that
// each is its own machine, with the right time, before anything runs in it.
func TestVMClonesDiffer(t *testing.T) {
	count := 12
	if text := os.Getenv(clonesEnv); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s is no number: %v", clonesEnv, err)
		}
	}
	layer := erofsOf(t, busyboxBundle(t))
	templates := builtTemplate(t)
	seen := map[string]map[string]int{}
	for i := range count {
		for what, value := range describeClone(t, templates, layer, i) {
			if seen[what] == nil {
				seen[what] = map[string]int{}
			}
			if other, known := seen[what][value]; known {
				t.Errorf("clones %d and %d have the same %s, %s", other, i, what, value)
			}
			seen[what][value] = i
		}
	}
}

// describeClone starts a pod from the template and returns what must be its own.
func describeClone(t *testing.T, templates Templates, layer string, i int) map[string]string {
	t.Helper()
	inside, far := outside(t), outside(t)
	mac, address := fmt.Sprintf("02:11:22:33:%02x:%02x", i/256, i%256), fmt.Sprintf("10.99.%d.%d/16", i/250, i%250+2)
	addPlainVeth(t, inside, far, mac, address)
	hostname := fmt.Sprintf("clone-%d", i)
	pod := realPod(t, func(o *Options) {
		o.ID, o.NetNS, o.Hostname = fmt.Sprintf("%s-%d", o.ID, i), inside, hostname
	})
	pod.drivers.Templates = templates
	startReal(t, pod)
	if o := pod.Origin(); o.Kind != OriginTemplate {
		t.Fatalf("clone %d comes from %+v", i, o)
	}
	const script = `cat /proc/sys/kernel/random/boot_id; busybox hostname; cat /sys/class/net/eth0/address
ip -o -4 addr show dev eth0; busybox date +%s; busybox head -c 64 /dev/urandom | busybox od -An -v -tx1 | busybox tr -d ' \n'; echo
cat /proc/sys/kernel/random/uuid`
	o := realContainer("", "c1", "sh", "-c", script)
	o.Bundle, o.Rootfs = t.TempDir(), []storage.Mount{{Type: "erofs", Source: layer, Options: []string{"ro", "loop"}}}
	o.Spec.Mounts = append(o.Spec.Mounts, specs.Mount{Type: "sysfs", Source: "sysfs", Destination: "/sys", Options: []string{"ro"}})
	before := time.Now()
	out, code := runReal(t, pod, o)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 7 {
		t.Fatalf("clone %d exited with %d and said %q", i, code, out)
	}
	if lines[1] != hostname || lines[2] != mac || !strings.Contains(lines[3], address) {
		t.Errorf("clone %d is %q with %q and %q", i, lines[1], lines[2], lines[3])
	}
	const slack = 10 * time.Second // for the way to the guest; the template is older, when most clones start
	seconds, err := strconv.ParseInt(lines[4], 10, 64)
	if now := time.Unix(seconds, 0); err != nil || now.Before(before.Add(-slack)) || now.After(time.Now().Add(slack)) {
		t.Errorf("clone %d has the time %s, %v", i, lines[4], err)
	}
	return map[string]string{
		"boot id": lines[0], "host name": lines[1], "MAC address": lines[2], "addresses": lines[3],
		"random bytes": lines[5], "random UUID": lines[6],
	}
}

// TestVMTemplateThatIsMissing boots, and says so.
func TestVMTemplateThatIsMissing(t *testing.T) {
	templates := &countingTemplates{Templates: hostTemplates{store: template.Store{Dir: shortDir(t)}}}
	pod := realPod(t)
	pod.drivers.Templates = templates
	startReal(t, pod)
	if o := pod.Origin(); o.Kind != OriginBoot || !strings.Contains(o.Reason, "no template") {
		t.Errorf("the pod comes from %+v", o)
	}
	if templates.requested != 1 || templates.begun != 1 {
		t.Errorf("%d templates were asked for, %d begun", templates.requested, templates.begun)
	}
}

// TestVMTemplateThatIsBroken boots, and removes the template.
func TestVMTemplateThatIsBroken(t *testing.T) {
	good := builtTemplate(t).(hostTemplates)
	list, err := good.store.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("templates: %v, %v", list, err)
	}
	broken := &countingTemplates{Templates: good, instead: &list[0]}
	dir := t.TempDir()
	broken.instead.Snapshot.State = filepath.Join(dir, "state")
	if err := os.WriteFile(broken.instead.Snapshot.State, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	pod := realPod(t)
	pod.drivers.Templates = broken
	startReal(t, pod)
	if o := pod.Origin(); o.Kind != OriginBoot || !strings.Contains(o.Reason, "could not be used") {
		t.Errorf("the pod comes from %+v", o)
	}
	if list, err := good.store.List(); err != nil || len(list) != 0 {
		t.Errorf("the broken template is still there: %v, %v", list, err)
	}
}

// countingTemplates counts requests, and can have a template of its own.
type countingTemplates struct {
	Templates
	instead          *template.Template
	requested, begun int
}

func (c *countingTemplates) Find(ctx context.Context, vm hypervisor.VM, cfg hypervisor.Config) (template.Template, error) {
	if c.instead != nil {
		return *c.instead, nil
	}
	return c.Templates.Find(ctx, vm, cfg)
}

func (c *countingTemplates) Request(hypervisor.Config) (func(), error) {
	c.requested++
	return func() { c.begun++ }, nil
}

// builtTemplate is a store with the template for realPod's VMs.
func builtTemplate(t *testing.T) Templates {
	t.Helper()
	return templateOf(t, realPod(t))
}

// templateOf is a store with the template for VMs like that of a pod.
func templateOf(t *testing.T, pod *Sandbox) Templates {
	t.Helper()
	if err := pod.check(background); err != nil {
		t.Fatal(err)
	}
	store := template.Store{Dir: shortDir(t)}
	b := template.Builder{Store: store, Config: pod.cloneConfig(), NewVM: pod.drivers.NewVM}
	began := time.Now()
	if _, err := b.Build(background); err != nil {
		t.Fatal(err)
	}
	list, err := store.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("templates: %v, %v", list, err)
	}
	t.Logf("the template took %v and has %d KiB", time.Since(began).Round(time.Millisecond), list[0].Bytes>>10)
	return hostTemplates{store: store}
}

// shortDir is a directory on tmpfs whose path leaves room for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func erofsOf(t *testing.T, bundle string) string {
	t.Helper()
	if _, err := exec.LookPath("mkfs.erofs"); err != nil {
		t.Skip("mkfs.erofs is not installed; the package is erofs-utils")
	}
	layer := filepath.Join(t.TempDir(), "layer.erofs")
	if out, err := exec.Command("mkfs.erofs", layer, filepath.Join(bundle, "rootfs")).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v: %s", err, out)
	}
	return layer
}

// addPlainVeth joins two namespaces by a veth with one address in the pod's.
func addPlainVeth(t *testing.T, pod, far, mac, address string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ns, err := netns.GetFromPath(pod)
	must(err)
	defer ns.Close()
	nsFar, err := netns.GetFromPath(far)
	must(err)
	defer nsFar.Close()
	h, err := netlink.NewHandleAt(ns)
	must(err)
	defer h.Close()
	hardware, err := net.ParseMAC(mac)
	must(err)
	must(h.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", MTU: 1400, HardwareAddr: hardware}, PeerName: "far", PeerNamespace: netlink.NsFd(nsFar),
	}))
	l, err := h.LinkByName("eth0")
	must(err)
	parsed, err := netlink.ParseAddr(address)
	must(err)
	must(h.AddrAdd(l, parsed))
	must(h.LinkSetUp(l))
}
