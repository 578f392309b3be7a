// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/transport"
)

// hostile is a pod whose guest the test is root of, through the debug console, outside of any container.
type hostile struct {
	t     *testing.T
	pod   *Sandbox
	shell net.Conn
	dir   string // of the host: its volumes, and what lies beside them
}

// inGuest is where a guest finds what the host shares.
const inGuest = "/run/kata-containers/shared/containers"

// ofHost is what the host's files hold.
const ofHost = "of the host"

// takenOver starts a pod with a container that has a volume to write to, one to read, and a file.
func takenOver(t *testing.T) *hostile {
	t.Helper()
	bundle := busyboxBundle(t)
	h := &hostile{t: t, dir: t.TempDir()}
	for _, d := range []string{"writable", "readonly", "outside"} {
		if err := os.Mkdir(filepath.Join(h.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"readonly/text", "outside/secret", "file"} {
		if err := os.WriteFile(filepath.Join(h.dir, f), []byte(ofHost), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	h.pod = realPod(t, func(o *Options) { o.Config.Agent.DebugConsole = true })
	startReal(t, h.pod)
	o := realContainer(bundle, "c1", "sh", "-c", "busybox sleep 1000")
	for at, access := range map[string]string{"writable": "rw", "readonly": "ro", "file": "rw"} {
		o.Spec.Mounts = append(o.Spec.Mounts, specs.Mount{
			Type: "bind", Source: filepath.Join(h.dir, at), Destination: "/" + at, Options: []string{"rbind", access},
		})
	}
	c, err := h.pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	if h.shell, err = h.pod.dialer().Dial(background, transport.PortConsole); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.shell.Close() })
	return h
}

// do runs a line of a shell's language as root of the guest and returns what it prints. The terminal shows the line as
// well, in which the marks are not whole.
func (h *hostile) do(line string) string {
	h.t.Helper()
	if err := h.shell.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(h.shell, "echo BE''GIN; { %s ; } 2>&1; echo EN''D\n", line); err != nil {
		h.t.Fatal(err)
	}
	var said []byte
	for piece := make([]byte, 4096); ; {
		n, err := h.shell.Read(piece)
		said = append(said, piece[:n]...)
		_, after, begun := bytes.Cut(said, []byte("BEGIN\r\n"))
		if out, _, ended := bytes.Cut(after, []byte("END\r\n")); begun && ended {
			return strings.ReplaceAll(string(out), "\r\n", "\n")
		}
		if err != nil {
			h.t.Fatalf("the guest's shell: %v, after %q", err, said)
		}
	}
}

// at is the path in the guest of what a container has from the share at a name.
func (h *hostile) at(name string) string {
	h.t.Helper()
	found := strings.Fields(h.do("ls -d " + inGuest + "/c1-*-" + name))
	if len(found) != 1 {
		h.t.Fatalf("the guest finds %q for %s", found, name)
	}
	return found[0]
}

// TestVMTakenOverReaches is what root of a guest, which no container confines, can do to the host's files: what the
// pod's container could.
func TestVMTakenOverReaches(t *testing.T) {
	h := takenOver(t)
	image := digest(t, h.pod.options.Config.Hypervisor.Image)
	writable, readonly, file := h.at("writable"), h.at("readonly"), h.at("file")
	null := fmt.Sprintf("%d %d", 1, 3)
	for _, c := range []struct{ name, line, want string }{
		{"a file", "echo mine >" + writable + "/new && cat " + writable + "/new", "mine\n"},
		{"a device, which is the guest's", "busybox mknod " + writable + "/null c " + null + " && cat " + writable + "/null && echo empty", "empty\n"},
		{"a file to read", "cat " + readonly + "/text", ofHost},
		{"writing what is to be read", "echo mine >" + readonly + "/text || echo no", "Read-only"},
		{"making what is to be read", "echo mine >" + readonly + "/new || echo no", "Read-only"},
		{"removing what is to be read", "rm " + readonly + "/text || echo no", "Read-only"},
		{"remounting it", "busybox mount -o remount,rw " + inGuest + "; echo mine >" + readonly + "/new || echo no", "Read-only"},
		{"the share itself", "echo mine >" + inGuest + "/new || echo no", "Read-only"},
		{"a hard link from one to the other", "ln " + readonly + "/text " + writable + "/hard || echo no", "cross-device"},
		{"a hard link to the file", "ln " + file + " " + writable + "/hard || echo no", "cross-device"},
		{"moving out", "busybox mv -T " + writable + " " + inGuest + "/c1/moved || echo no", "no\n"},
		{"a link up", "ln -s ../../outside/secret " + writable + "/up; cat " + writable + "/up || echo no", "No such file"},
		{"a link to the host", "ln -s " + h.dir + "/outside/secret " + writable + "/abs; cat " + writable + "/abs || echo no", "No such file"},
		{"up by names", "cat " + writable + "/../../outside/secret || echo no", "No such file"},
		{"a FIFO in the file's place", "busybox mkfifo " + writable + "/fifo && busybox mv " + writable + "/fifo " + file + " || echo no", "no\n"},
		{"its disk", "echo mine >/dev/vda || echo no", "no\n"},
		{"its disk, made writable", "busybox blockdev --setrw /dev/vda; echo mine | busybox dd of=/dev/vda conv=fsync || echo no", "no\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			if got := h.do(c.line); !strings.Contains(got, c.want) {
				t.Errorf("the guest says %q, want %q", got, c.want)
			}
		})
	}
	h.t = t
	if digest(t, h.pod.options.Config.Hypervisor.Image) != image {
		t.Error("the guest's image was changed")
	}
	for _, f := range []string{"readonly/text", "outside/secret", "file"} {
		text, err := os.ReadFile(filepath.Join(h.dir, f))
		if err != nil || string(text) != ofHost {
			t.Errorf("%s of the host holds %q, error %v", f, text, err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(h.dir, f), &st); err != nil || st.Nlink != 1 || st.Mode&unix.S_IFMT != unix.S_IFREG {
			t.Errorf("%s of the host has %d names and mode %o, error %v", f, st.Nlink, st.Mode, err)
		}
	}
	for dir, want := range map[string]int{"readonly": 1, "outside": 1, ".": 4} {
		if entries, err := os.ReadDir(filepath.Join(h.dir, dir)); err != nil || len(entries) != want {
			t.Errorf("%s of the host holds %v, error %v", dir, entries, err)
		}
	}
}

func digest(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// TestVMTakenOverSees is what root of a guest can learn of the host's paths, from its kernel, its files, and the memory
// of the agent, which read all that came from the host: nothing.
func TestVMTakenOverSees(t *testing.T) {
	h := takenOver(t)
	search := func(patterns ...string) string {
		for i, p := range patterns { // which must not find themselves in what the agent was told to do
			patterns[i] = "[" + p[:1] + "]" + p[1:]
		}
		return " 2>/dev/null | busybox strings -n 6 | busybox grep -m 3 '" + strings.Join(patterns, `\|`) + "'"
	}
	c := h.pod.options.Config
	for where, show := range map[string]string{
		"kernel": "{ busybox dmesg; cat /proc/cmdline /proc/mounts /proc/*/mountinfo /proc/*/cmdline /proc/*/environ /sys/class/dmi/id/*; }",
		"files":  "{ busybox find /run /tmp /etc -xdev -type f -size -200 -exec cat {} +; busybox find /run /dev -xdev; busybox ls -lR /run/kata-containers; }",
		"agent":  heapOfAgent,
	} {
		if got := h.do(show + search(t.Name(), c.Runtime.StateDir, "/sbs/", filepath.Dir(c.Hypervisor.Image), "qemu-system", "virtiofsd")); got != "" {
			t.Errorf("the %s of the guest names a path of the host: %q", where, got)
		}
		if got := h.do(show + search("no such word", "kata-containers/shared")); got == "" { // or nothing is shown at all
			t.Errorf("the %s of the guest does not name what every guest has", where)
		}
	}
}

// heapOfAgent prints the heap of the guest's first process, the agent: as a Go program it has it between its own pages,
// whose addresses are short, and what it maps.
const heapOfAgent = `{ while read range may rest; do case $range,$may in 0*|7f*) ;; *,rw*) from=$((0x${range%-*} / 4096)); to=$((0x${range#*-} / 4096))
busybox dd if=/proc/1/mem bs=4096 skip=$from count=$((to - from));; esac; done < /proc/1/maps; }`
