// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/containerd/errdefs"
)

func TestDecide(t *testing.T) {
	native := Finding{Native, "it emulated 0 of 1004 privileged-mode instructions"}
	slow := Finding{Interpreted, "it emulated 1004 of 1004 privileged-mode instructions"}
	for _, tc := range []struct {
		name, want string
		facts      facts
		accel      string
		reason     string // or part of the error
		err        error
	}{
		{"no device", "", facts{device: errors.New("there is no /dev/kvm")}, TCG, "there is no /dev/kvm", nil},
		{"no flag", "", facts{}, TCG, "neither vmx nor svm", nil},
		{"interpreted", "", facts{flag: "svm", finding: slow}, TCG, "interpreted: it emulated 1004", nil},
		{"unusable", "", facts{flag: "vmx", finding: Finding{Unusable, "x"}}, TCG, "unusable: x", nil},
		{"native", "", facts{flag: "vmx", finding: native}, KVM, "native: it emulated 0", nil},
		{"kvm where native", "kvm", facts{flag: "svm", finding: native}, KVM, "native", nil},
		{"kvm where interpreted", "kvm", facts{flag: "svm", finding: slow}, "", "interpreted", errdefs.ErrFailedPrecondition},
		{"kvm without device", "kvm", facts{device: errors.New("there is no /dev/kvm")}, "", "set it to tcg", errdefs.ErrFailedPrecondition},
		{"kvm without flag", "kvm", facts{}, "", "neither vmx nor svm", errdefs.ErrFailedPrecondition},
		{"tcg where native", "tcg", facts{flag: "vmx", finding: native}, TCG, "configuration", nil},
		{"unknown name", "hvf", facts{flag: "vmx", finding: native}, "", `"hvf"`, errdefs.ErrInvalidArgument},
	} {
		t.Run(tc.name, func(t *testing.T) {
			accel, reason, err := decide(tc.want, tc.facts)
			if accel != tc.accel || !errors.Is(err, tc.err) {
				t.Fatalf("decide = %q, %q, %v; want %q, error %v", accel, reason, err, tc.accel, tc.err)
			}
			if err != nil {
				reason = err.Error()
			}
			if !strings.Contains(reason, tc.reason) {
				t.Errorf("reason %q does not say %q", reason, tc.reason)
			}
		})
	}
}

// testHost has a KVM device and the flag svm; probes counts calls.
func testHost(t *testing.T, finding Finding, probes *int) Host {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return Host{
		CPUInfo: write("cpuinfo", "processor\t: 0\nflags\t\t: fpu svm sse\nbugs\t\t: vmx\n"),
		BootID:  write("boot_id", "one\n"), Device: write("kvm", ""), CacheDir: filepath.Join(dir, "run", "katapod"),
		Probe: func(context.Context, string) (Finding, error) { *probes++; return finding, nil },
	}
}

func TestVerdictIsKeptUntilTheNextBoot(t *testing.T) {
	probes := 0
	h := testHost(t, Finding{Native, "x"}, &probes)
	for range 3 {
		if name, _, err := h.Choose(t.Context(), ""); name != KVM || err != nil {
			t.Fatalf("choice %q, %v", name, err)
		}
	}
	if probes != 1 {
		t.Errorf("%d probes in one boot, want 1", probes)
	}
	if err := os.WriteFile(h.BootID, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Choose(t.Context(), ""); err != nil || probes != 2 {
		t.Errorf("after a boot: %d probes, %v; want 2", probes, err)
	}
	if err := os.WriteFile(filepath.Join(h.CacheDir, cacheFile), []byte(`{"boot_id":"two","verdict":"splendid"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Choose(t.Context(), ""); err != nil || probes != 3 {
		t.Errorf("with a corrupt cache: %d probes, %v; want 3", probes, err)
	}
}

func TestNoProbeWhereFactsDecide(t *testing.T) {
	probes := 0
	h := testHost(t, Finding{Native, "x"}, &probes)
	if name, _, err := h.Choose(t.Context(), TCG); name != TCG || err != nil {
		t.Errorf("tcg: %q, %v", name, err)
	}
	noFlag := h
	noFlag.CPUInfo = h.BootID
	if name, _, err := noFlag.Choose(t.Context(), ""); name != TCG || err != nil {
		t.Errorf("no flag: %q, %v", name, err)
	}
	noDevice := h
	noDevice.Device = "/nonexistent/kvm"
	if name, reason, err := noDevice.Choose(t.Context(), ""); name != TCG || err != nil || !strings.Contains(reason, "there is no") {
		t.Errorf("no device: %q, %q, %v", name, reason, err)
	}
	if probes != 0 {
		t.Errorf("%d probes, want none", probes)
	}
}

func TestProbeFailureIsNotKept(t *testing.T) {
	probes := 0
	h := testHost(t, Finding{Native, "x"}, &probes)
	good := h.Probe
	h.Probe = func(context.Context, string) (Finding, error) { return Finding{}, errors.New("no descriptors left") }
	if _, _, err := h.Choose(t.Context(), ""); err == nil {
		t.Fatal("a probe that could not be made gave a choice")
	}
	h.Probe = good
	if name, _, err := h.Choose(t.Context(), ""); name != KVM || err != nil {
		t.Errorf("choice %q, %v", name, err)
	}
}

func TestJudge(t *testing.T) {
	for emulated, want := range map[uint64]Verdict{0: Native, 2: Native, 500: Interpreted, loopInstructions: Interpreted} {
		if got := judge(emulated); got.Verdict != want {
			t.Errorf("judge(%d) = %v, want %s", emulated, got, want)
		}
	}
}

func TestStructSizes(t *testing.T) {
	for name, got := range map[string][2]uintptr{
		"kvm_regs":                    {unsafe.Sizeof(registers{}), kvmSetRegs >> 16 & 0x3fff},
		"kvm_sregs":                   {unsafe.Sizeof(specialRegisters{}), kvmSetSregs >> 16 & 0x3fff},
		"kvm_userspace_memory_region": {unsafe.Sizeof(memoryRegion{}), kvmSetUserMemoryRegion >> 16 & 0x3fff},
	} {
		if got[0] != got[1] {
			t.Errorf("%s has %d bytes, its request says %d", name, got[0], got[1])
		}
	}
}

func TestFindCounter(t *testing.T) {
	entry := func(name string, offset uint32) []byte {
		b := make([]byte, statsDescriptor+32)
		binary.NativeEndian.PutUint32(b[8:], offset)
		copy(b[statsDescriptor:], name)
		return b
	}
	table := append(entry("exits", 0), entry(counterName, 8)...)
	if at, err := findCounter(table, 32, counterName); at != 8 || err != nil {
		t.Errorf("found at %d, %v; want 8", at, err)
	}
	if _, err := findCounter(table, 32, "absent"); err == nil {
		t.Error("found a counter that is not there")
	}
	if _, err := findCounter(table[:50], 32, counterName); err == nil {
		t.Error("found a counter in a cut table")
	}
}

// TestProbeHere runs the real probe. What it must say depends on the host: on
// one without vmx and svm, KVM can only be interpreted.
func TestProbeHere(t *testing.T) {
	h := This()
	if err := opens(h.Device); err != nil {
		t.Skipf("no KVM to probe: %v", err)
	}
	flag, err := virtualizationFlag(h.CPUInfo)
	if err != nil {
		t.Fatal(err)
	}
	finding, err := Probe(t.Context(), h.Device)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("processor flag %q, finding %+v", flag, finding)
	if flag == "" && finding.Verdict != Interpreted {
		t.Errorf("software KVM was found %s: %s", finding.Verdict, finding.Detail)
	}
}

func TestChooseHere(t *testing.T) {
	h := This()
	h.CacheDir = t.TempDir()
	name, reason, err := h.Choose(t.Context(), "")
	if err != nil || reason == "" {
		t.Fatalf("choice %q, reason %q, %v", name, reason, err)
	}
	t.Logf("%s: %s", name, reason)
	if flag, _ := virtualizationFlag(h.CPUInfo); flag == "" {
		if name != TCG {
			t.Errorf("chose %s without vmx or svm", name)
		}
		if _, _, err := h.Choose(t.Context(), KVM); !errors.Is(err, errdefs.ErrFailedPrecondition) {
			t.Errorf("asking for kvm: %v", err)
		}
	}
}
