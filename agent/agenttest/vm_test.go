// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/stdio"
	"github.com/katapod/katapod/protocols/transport"
)

// Where the disks are plugged in, see arguments.
const (
	rootfsPCI  = "02/00"
	scratchPCI = "03/00"
	latePCI    = "04/00" // empty at first
	nicPCI     = "05/00"
	nicMAC     = "52:54:00:12:34:56"
)

// machine is a running guest.
type machine struct {
	dir    string
	dialer *transport.Serial
	agent  agentpb.AgentServiceService
	health agentpb.HealthService
}

// guestDir is where `make guest` leaves kernel and image.
func guestDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KATAPOD_OUT")
	if dir == "" {
		dir = filepath.Join("..", "..", "out", "guest")
	}
	for _, f := range []string{"vmlinux", "katapod.img"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Skipf("the guest is not built, run make guest: %v", err)
		}
	}
	for _, tool := range []string{"qemu-system-x86_64", "mkfs.erofs", "mke2fs", "busybox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("a program is missing: %v", err)
		}
	}
	return dir
}

// boot starts a guest with a busybox root file system on one disk and an empty
// ext4 file system on another one, and waits for its agent.
func boot(t *testing.T) *machine {
	t.Helper()
	guest := guestDir(t)
	dir := t.TempDir()
	rootfs, scratch := filepath.Join(dir, "rootfs.img"), filepath.Join(dir, "scratch.img")
	makeRootfs(t, dir, rootfs)
	run(t, "truncate", "-s", "64M", scratch)
	run(t, "mke2fs", "-q", "-t", "ext4", scratch, "32M")

	run(t, "truncate", "-s", "16M", scratch+".late")

	socket := filepath.Join(dir, "mux.sock")
	cmd := exec.Command("qemu-system-x86_64", arguments(guest, socket, rootfs, scratch)...)
	console, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		for lines := bufio.NewScanner(console); lines.Scan(); {
			t.Log("guest: " + lines.Text())
		}
	}()
	m := &machine{dir: dir, dialer: transport.NewSerial(socket)}
	t.Cleanup(func() {
		_ = m.dialer.Close()
		_ = cmd.Process.Kill()
		leaktest.Receive(t, copied)
		_ = cmd.Wait()
	})
	m.connect(t)
	return m
}

func arguments(guest, socket, rootfs, scratch string) []string {
	disk := func(id, file, where string, readOnly bool) []string {
		ro := "off"
		if readOnly {
			ro = "on"
		}
		return []string{
			"-drive", fmt.Sprintf("if=none,id=%s,file=%s,format=raw,readonly=%s", id, file, ro),
			"-device", "virtio-blk-pci,drive=" + id + "," + where,
		}
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35", "-accel", "tcg,thread=multi",
		"-cpu", "max", "-smp", "2", "-m", "512", "-kernel", filepath.Join(guest, "vmlinux"), "-serial", "stdio",
		"-append", "console=ttyS0 quiet clearcpuid=cx16 agent.emulated root=/dev/vda rootfstype=erofs ro init=/sbin/init cgroup_no_v1=all agent.log=debug agent.debug_console agent.debug_console_vport=1026 agent.log_vport=1025",
		"-chardev", "socket,id=mux,path=" + socket + ",server=on,wait=off",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=mux,name=" + transport.SerialPortName,
		"-device", "pcie-root-port,id=rp2,bus=pcie.0,addr=2,chassis=2",
		"-device", "pcie-root-port,id=rp3,bus=pcie.0,addr=3,chassis=3",
		"-device", "pcie-root-port,id=rp4,bus=pcie.0,addr=4,chassis=4",
		"-device", "pcie-root-port,id=rp5,bus=pcie.0,addr=5,chassis=5",
		"-netdev", "user,id=n0,restrict=on", "-device", "virtio-net-pci,netdev=n0,mac=" + nicMAC + ",bus=rp5,romfile=",
		"-object", "memory-backend-ram,id=ram0,size=1M", "-device", "virtio-rng-pci",
	}
	args = append(args, "-qmp", "unix:"+socket+".qmp,server=on,wait=off", "-drive", "if=none,id=late,format=raw,file="+scratch+".late")
	args = append(args, disk("root", filepath.Join(guest, "katapod.img"), "bus=pcie.0,addr=1a", true)...)
	args = append(args, disk("rootfs", rootfs, "bus=rp2", true)...)
	return append(args, disk("scratch", scratch, "bus=rp3", false)...)
}

// makeRootfs makes an EROFS image of a root file system with busybox.
func makeRootfs(t *testing.T, dir, image string) {
	t.Helper()
	root := filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "proc", "sys", "dev", "tmp", "etc", "srv"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "cp", "-L", busybox, filepath.Join(root, "bin/busybox"))
	run(t, filepath.Join(root, "bin/busybox"), "--install", "-s", filepath.Join(root, "bin"))
	links, err := filepath.Glob(filepath.Join(root, "bin/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if filepath.Base(l) != "busybox" {
			if err := os.Remove(l); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("busybox", l); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(t, "mkfs.erofs", "--quiet", image, root)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// connect waits for the agent and makes the clients.
func (m *machine) connect(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	conn := m.dial(ctx, t, transport.PortAgent)
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() { _ = client.Close() })
	m.agent, m.health = agentpb.NewAgentServiceClient(client), agentpb.NewHealthClient(client)
	if _, err := m.health.Check(ctx, &agentpb.CheckRequest{}); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) dial(ctx context.Context, t *testing.T, port uint32) net.Conn {
	t.Helper()
	conn, err := m.dialer.Dial(ctx, port)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// plug plugs the late disk in.
func (m *machine) plug(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(m.dir, "mux.sock.qmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(conn)
	for _, command := range []string{
		`{"execute":"qmp_capabilities"}`,
		`{"execute":"device_add","arguments":{"driver":"virtio-blk-pci","drive":"late","bus":"rp4","id":"late0"}}`,
	} {
		if _, err := fmt.Fprintln(conn, command); err != nil {
			t.Fatal(err)
		}
		for answers.Scan() && !strings.Contains(answers.Text(), `"return"`) {
			if strings.Contains(answers.Text(), `"error"`) {
				t.Fatal(answers.Text())
			}
		}
	}
}

// stream opens a standard stream and returns its token.
func (m *machine) stream(ctx context.Context, t *testing.T) (uint32, net.Conn) {
	t.Helper()
	token := stdio.NewToken()
	conn := m.dial(ctx, t, transport.PortStdio)
	if err := token.Write(conn); err != nil {
		t.Fatal(err)
	}
	return uint32(token), conn
}
