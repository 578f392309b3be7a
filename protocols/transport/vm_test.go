// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// kernelEnv names the guest kernel of the VM tests.
const kernelEnv = "KATAPOD_TEST_KERNEL"

// TestSerialInVM runs the serial carrier over a real virtio-serial port: many
// streams, a host that leaves and comes back, and a paused VM.
func TestSerialInVM(t *testing.T) {
	path := bootVM(t)
	s := NewSerial(path)
	exchange(t, dial(t, s, 1), "first words")
	t.Run("refused", func(t *testing.T) { checkRefused(t, s) })
	t.Run("streams", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if err := vmEcho(t, s, 400_000+i); err != nil {
					t.Errorf("stream %d: %v", i, err)
				}
			})
		}
		all.Wait()
	})
	t.Run("numbers", func(t *testing.T) { measure(t, s) })
	for i := range 3 {
		// A stream is left in the middle of its bytes.
		go func(c io.Writer) { _, _ = c.Write(make([]byte, 10<<20)) }(dial(t, s, 1))
		_ = s.Close()
		s = NewSerial(path)
		exchange(t, dial(t, s, 1), fmt.Sprintf("session %d", i))
	}
	_ = s.Close()
}

// checkRefused dials a port that the guest does not serve.
func checkRefused(t *testing.T, d Dialer) {
	t.Helper()
	ctx, cancel := contextFor(200 * time.Millisecond)
	defer cancel()
	_, err := d.Dial(ctx, 99)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("nothing listens on guest port 99")) {
		t.Errorf("got %v", err)
	}
}

func vmEcho(t *testing.T, d Dialer, size int) error {
	c, err := d.Dial(testContext(t), 2)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, size)); err != nil {
		return err
	}
	if err := c.(halfCloser).CloseWrite(); err != nil {
		return err
	}
	b, err := io.ReadAll(c)
	if err == nil && string(b) != fmt.Sprint(size) {
		err = fmt.Errorf("the guest counted %q of %d bytes", b, size)
	}
	return err
}

// measure logs round trip and rate; they depend on the machine's load.
func measure(t *testing.T, d Dialer) {
	t.Helper()
	c := dial(t, d, 1)
	const rounds, size = 500, 64 << 20
	begin := time.Now()
	for range rounds {
		exchange(t, c, "ping")
	}
	t.Logf("round trip %v", time.Since(begin)/rounds)
	begin = time.Now()
	if err := vmEcho(t, d, size); err != nil {
		t.Error(err)
	}
	t.Logf("to the guest %.0f MiB/s", float64(size>>20)/time.Since(begin).Seconds())
}

// bootVM boots a VM whose init is testdata/init and returns the socket of its
// port. The VM ends with the test.
func bootVM(t *testing.T) string {
	t.Helper()
	kernel := os.Getenv(kernelEnv)
	if kernel == "" {
		kernel = "../../out/guest/vmlinux"
	}
	if _, err := os.Stat(kernel); err != nil {
		t.Skipf("needs a guest kernel (make builds one; or set %s): %v", kernelEnv, err)
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("needs QEMU:", err)
	}
	dir := t.TempDir()
	initrd, socket := filepath.Join(dir, "initrd"), filepath.Join(dir, "mux.sock")
	if err := os.WriteFile(initrd, buildInitrd(t, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256",
		"-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1",
		"-serial", "stdio", "-device", "virtio-serial-pci",
		"-chardev", "socket,id=mux,path="+socket+",server=on,wait=off",
		"-device", "virtserialport,chardev=mux,name="+SerialPortName)
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Logf("console:\n%s", console.Bytes())
	})
	return socket
}

// buildInitrd packs testdata/init as /init into a cpio archive, see the
// kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
func buildInitrd(t *testing.T, dir string) []byte {
	t.Helper()
	program := filepath.Join(dir, "init")
	build := exec.Command("go", "build", "-o", program, "./testdata/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the guest's init: %v\n%s", err, out)
	}
	body, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	pad := func() { b.Write(make([]byte, -b.Len()&3)) }
	entry := func(name string, mode, major, minor int, body []byte) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			0, mode, 0, 0, 1, 0, len(body), 0, 0, major, minor, len(name)+1, 0, name)
		pad()
		b.Write(body)
		pad()
	}
	entry("dev", 0o040755, 0, 0, nil)
	entry("dev/console", 0o020600, 5, 1, nil)
	entry("init", 0o100755, 0, 0, body)
	entry("TRAILER!!!", 0, 0, 0, nil)
	return b.Bytes()
}
