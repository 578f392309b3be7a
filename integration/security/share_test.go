// SPDX-License-Identifier: Apache-2.0

package security

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// outsideIntact checks what lies beside a pod's volume on the host.
func outsideIntact(t *testing.T, p *pod) {
	t.Helper()
	entries, err := os.ReadDir(p.outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside the volume of %s are %v, error %v", p.spec.Name, entries, err)
	}
	if text, err := os.ReadFile(filepath.Join(p.outside, "secret")); err != nil || string(text) != secret {
		t.Errorf("the file outside holds %q, error %v", text, err)
	}
	for path, want := range map[string]string{filepath.Join(p.reading, "text"): readable, p.file: ""} {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Nlink != 1 || st.Mode&unix.S_IFMT != unix.S_IFREG {
			t.Errorf("%s has %d names and mode %o, error %v", path, st.Nlink, st.Mode, err)
		}
		if text, err := os.ReadFile(path); err != nil || want != "" && string(text) != want {
			t.Errorf("%s holds %q, error %v", path, text, err)
		}
	}
	if entries, err := os.ReadDir(p.reading); err != nil || len(entries) != 1 {
		t.Errorf("%s holds %v, error %v", p.reading, entries, err)
	}
}

// Links that a container makes in its root and in a volume lead to what they name in the guest.
func TestLinksStayInside(t *testing.T) {
	ctx := begin(t)
	for _, p := range []*pod{shared.a, shared.b} {
		for _, dir := range []string{"/volume", ""} {
			got := p.sh(ctx, t, `cd `+dir+`/ && mkdir -p links && cd links
ln -sf `+p.outside+`/secret absolute; ln -sf ../../outside/secret up; ln -sf /proc/1/root`+p.outside+`/secret root; ln -sfn `+p.outside+` dir; ln -sfn ../../outside updir
for i in absolute up root dir/secret updir/secret ../../../../../../..`+p.outside+`/secret; do cat $i; echo x >$i; rm -f $i; done
for i in dir updir; do touch $i/new; mkdir $i/made; done
ln /etc/file `+dir+`/hard; ln absolute hardlink; cat hardlink`)
			if strings.Contains(got, secret) {
				t.Errorf("%s reads the host's file from %q: %s", p.spec.Name, dir, got)
			}
		}
		outsideIntact(t, p)
	}
}

// What the daemon can do for a guest in the share itself, where the runtime makes mount points, is nothing; and it
// serves nothing but its own pod's.
func TestShareItselfIsReadOnly(t *testing.T) {
	begin(t)
	for _, p := range []*pod{shared.a, shared.b} {
		serving := 0
		for _, pid := range p.daemons(t) {
			if field(t, pid, "Seccomp") != "2" {
				continue // It waits for the one that serves.
			}
			serving++
			root := fmt.Sprintf("/proc/%d/root/", pid)
			container := root + p.main
			for what, err := range map[string]error{
				"a link": os.Symlink(p.outside, root+"link"), "a directory": os.Mkdir(root+"dir", 0o700), "a file": os.WriteFile(root+"file", nil, 0o600),
				"a device": unix.Mknod(root+"node", unix.S_IFBLK, 0x800), "another name": os.Rename(container, root+"moved"),
				"something beside a container's root": os.Symlink(p.outside, container+"/link"),
			} {
				if !errors.Is(err, unix.EROFS) {
					t.Errorf("in the share of %s, %s: %v", p.spec.Name, what, err)
				}
			}
			entries, err := os.ReadDir(root)
			if err != nil || len(entries) == 0 {
				t.Errorf("the share of %s holds %v, error %v", p.spec.Name, entries, err)
			}
			for _, e := range entries {
				if !strings.HasPrefix(e.Name(), p.main) && !strings.HasPrefix(e.Name(), p.id) {
					t.Errorf("the share of %s holds %s", p.spec.Name, e.Name())
				}
			}
		}
		if serving == 0 {
			t.Errorf("nobody serves the share of %s", p.spec.Name)
		}
		outsideIntact(t, p)
	}
}

// What a container, or a daemon that a guest took over, can do across the borders of what is shared: nothing. The
// daemon may make a device, which is for the guest, and not open it.
func TestSharesAreApart(t *testing.T) {
	ctx := begin(t)
	for _, p := range []*pod{shared.a, shared.b} {
		got := p.sh(ctx, t, `for from in /etc/file /reading/text /bin/probe; do ln $from /volume/hard && echo LINKED; rm -f /volume/hard; done
ln /volume /hard && echo LINKED; ln /reading/text /reading/hard && echo LINKED; mv /volume /moved && echo MOVED
for call in write:/reading/text create:/reading/new remove:/reading/text mkdir:/reading/dir fifo:/reading/fifo chmod:/reading/text; do probe try $call; done`)
		if strings.Contains(got, "LINKED") || strings.Contains(got, "MOVED") || strings.Count(got, " EROFS") != 6 {
			t.Errorf("%s says %q", p.spec.Name, got)
		}
		volume, reading := p.served(t, "volume"), p.served(t, "reading")
		for what, err := range map[string]error{
			"a file to read": os.WriteFile(reading+"/new", nil, 0o600), "its removal": os.Remove(reading + "/text"),
			"its change": os.Truncate(reading+"/text", 0), "a device to read": unix.Mknod(reading+"/device", unix.S_IFCHR, 0x103),
		} {
			if !errors.Is(err, unix.EROFS) {
				t.Errorf("the daemon of %s, %s: %v", p.spec.Name, what, err)
			}
		}
		if err := os.Link(reading+"/text", volume+"/hard"); !errors.Is(err, unix.EXDEV) {
			t.Errorf("the daemon of %s, a hard link: %v", p.spec.Name, err)
		}
		if err := unix.Mknod(volume+"/device", unix.S_IFCHR|0o666, 0x103); err != nil {
			t.Fatalf("what the daemon makes for the guest: %v", err)
		}
		if f, err := os.Open(volume + "/device"); !errors.Is(err, unix.EACCES) {
			t.Errorf("the daemon of %s opens a device of the host: %v, %v", p.spec.Name, f, err)
		}
		if err := os.Remove(volume + "/device"); err != nil {
			t.Error(err)
		}
		outsideIntact(t, p)
	}
}

// served is a volume of the pod's container as its virtiofsd has it.
func (p *pod) served(t *testing.T, name string) string {
	t.Helper()
	for _, pid := range p.daemons(t) {
		if field(t, pid, "Seccomp") != "2" {
			continue // It waits for the one that serves.
		}
		found, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/%s-*-%s", pid, p.main, name))
		if err == nil && len(found) == 1 {
			return found[0]
		}
	}
	t.Fatalf("nobody serves %s of %s", name, p.spec.Name)
	return ""
}

// FIFOs, sockets and devices on a volume are the guest's to open; the runtime does not stumble over them, and makes
// and removes containers that have the volume as before.
func TestSpecialFilesStayInside(t *testing.T) {
	ctx := begin(t)
	got := shared.a.sh(ctx, t, `cd /volume && mkfifo fifo && mknod host b 254 0 && mknod null c 1 3 && ln -s fifo loop && ln -s loop2 loop2
probe try read:host; cat null && echo null; rm -f /etc/file; mv /etc/file /etc/other; ln -sf /volume/fifo /etc/file; ls -la /etc/file`)
	if strings.Contains(got, "/etc/file ->") || !strings.Contains(got, "read:host EPERM") || !strings.Contains(got, "null\n") {
		t.Errorf("special files: %s", got)
	}
	if info, err := os.Lstat(shared.a.file); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the file of the host is %v, error %v", info, err)
	}
	began := time.Now()
	id, err := shared.StartContainer(ctx, shared.a.id, shared.a.spec, node.Container{
		Name: "second", Image: images.Busybox, Args: []string{"probe", "pause"},
		Mounts: []node.Mount{{ContainerPath: "/volume", HostPath: shared.a.volume}, {ContainerPath: "/etc/file", HostPath: shared.a.file}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shared.Crictl(ctx, "rm", "--force", id); err != nil {
		t.Error(err)
	}
	t.Logf("a second container came and went in %v", time.Since(began))
	info, err := os.Lstat(filepath.Join(shared.a.volume, "fifo"))
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("the FIFO is %v, error %v", info, err)
	}
	outsideIntact(t, shared.a)
}

// A container's root on the share is its own: what it makes there under the names of the runtime's own mount points,
// before another container comes, stays there.
func TestRootStaysInside(t *testing.T) {
	ctx := begin(t)
	_ = shared.b.sh(ctx, t, `mkdir -p /rootfs /proc2; ln -s `+shared.b.outside+` /rootfs/etc; rm -rf /etc/hosts /etc/resolv.conf; ln -sf `+shared.b.outside+`/secret /new
mv /volume /moved; rm -rf /volume/*; ln -sfn `+shared.b.outside+` /tmp/mnt`)
	id, err := shared.StartContainer(ctx, shared.b.id, shared.b.spec, node.Container{
		Name: "next", Image: images.Busybox, Args: []string{"probe", "pause"},
		Mounts: []node.Mount{{ContainerPath: "/rootfs/etc/deep", HostPath: shared.b.volume}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shared.Crictl(ctx, "rm", "--force", id); err != nil {
		t.Error(err)
	}
	outsideIntact(t, shared.b)
	ledger, err := os.ReadFile(filepath.Join(shared.b.state(t), "ledger"))
	if err != nil || bytes.Contains(ledger, []byte(shared.b.outside)) {
		t.Errorf("the ledger names what is outside, error %v", err)
	}
}
