// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// kernelEnv names the guest kernel of the VM tests.
const kernelEnv = "KATAPOD_TEST_KERNEL"

// TestSerialInVM runs the serial carrier over a real virtio-serial port: many
// streams, a host that leaves and comes back, and a paused VM.
func TestSerialInVM(t *testing.T) {
	needVM(t)
	path := filepath.Join(t.TempDir(), "mux.sock")
	vm := bootVM(t, "build", "", "-device", "virtio-serial-pci",
		"-chardev", "socket,id=mux,path="+path+",server=on,wait=off",
		"-device", "virtserialport,chardev=mux,name="+SerialPortName)
	t.Cleanup(func() { t.Logf("console:\n%s", vm.stop()) })
	s := NewSerial(path)
	exchange(t, dial(t, s, 1), "first words")
	t.Run("refused", func(t *testing.T) { mustTimeOut(t, s, 99, "nothing listens on guest port 99") })
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

// TestVsockInVM runs this package's vsock tests as the init of a VM, for hosts
// whose kernel has no vsock loopback.
func TestVsockInVM(t *testing.T) {
	needVM(t)
	vm := bootVM(t, "test", "-- -test.v -test.run=^TestVsock$|^TestVsockOnlyTheHost$|^TestVsockRefused$")
	out := string(vm.wait())
	if strings.Count(out, "--- PASS") != 3 || !strings.Contains(out, "\nPASS") {
		t.Errorf("in the VM:\n%s", out)
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

// needVM skips where no VM can be booted.
func needVM(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(guestKernel()); err != nil {
		t.Skipf("needs a guest kernel (make builds one; or set %s): %v", kernelEnv, err)
	}
	if _, err := exec.LookPath(qemu); err != nil {
		t.Skip("needs QEMU:", err)
	}
}

const qemu = "qemu-system-x86_64"

func guestKernel() string {
	if k := os.Getenv(kernelEnv); k != "" {
		return k
	}
	return "../../out/guest/vmlinux"
}

// vm is a running VM. It ends with the test at the latest.
type vm struct {
	cmd     *exec.Cmd
	console bytes.Buffer
	once    sync.Once
}

// wait returns the console's text when the VM has ended by itself.
func (v *vm) wait() []byte {
	v.once.Do(func() { _ = v.cmd.Wait() })
	return v.console.Bytes()
}

func (v *vm) stop() []byte {
	_ = v.cmd.Process.Kill()
	return v.wait()
}

// bootVM boots a VM whose init is testdata/init (build) or this package's test
// program (test), with args behind the kernel's command line.
func bootVM(t *testing.T, init, args string, devices ...string) *vm {
	t.Helper()
	dir := t.TempDir()
	initrd := filepath.Join(dir, "initrd")
	if err := os.WriteFile(initrd, buildInitrd(t, dir, init), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextFor(5 * patience)
	t.Cleanup(cancel)
	v := &vm{cmd: exec.CommandContext(ctx, qemu, append([]string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256",
		"-kernel", guestKernel(), "-initrd", initrd, "-serial", "stdio",
		// QEMU 7.2 corrupts the flags after cmpxchg16b under translation.
		"-append", "console=ttyS0 quiet panic=-1 clearcpuid=cx16 " + args,
	}, devices...)...)}
	v.cmd.Stdout, v.cmd.Stderr = &v.console, &v.console
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.stop() })
	return v
}

// buildInitrd packs a program as /init into a cpio archive, see the
// kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
func buildInitrd(t *testing.T, dir, init string) []byte {
	t.Helper()
	program := filepath.Join(dir, "init")
	build := exec.Command("go", "build", "-o", program, "./testdata/init")
	if init == "test" {
		build = exec.Command("go", "test", "-c", "-o", program, ".")
	}
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
