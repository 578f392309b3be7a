// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
)

// Names of accelerators, as configuration and VMMs spell them.
const (
	KVM = "kvm"
	TCG = "tcg"
)

// Verdict is what the probe found out about this host's KVM.
type Verdict string

const (
	// Native means that the processor runs privileged guest code itself.
	Native Verdict = "native"
	// Interpreted means that KVM emulates it instruction by instruction.
	Interpreted Verdict = "interpreted"
	// Unusable means that KVM did not run the probe to its end, or does not
	// tell how it did.
	Unusable Verdict = "unusable"
)

// Finding is a verdict with what it rests on, as a clause for messages.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
}

// Host says where the facts about a machine are found.
type Host struct {
	// CPUInfo and BootID are files of procfs, Device is KVM's device file.
	CPUInfo, BootID, Device string
	// CacheDir is a directory on tmpfs that the verdict is kept in; it is made
	// when it is missing.
	CacheDir string
	// Probe tries KVM out; nil stands for [Probe].
	Probe func(ctx context.Context, device string) (Finding, error)
}

// This returns the machine that the process runs on.
func This() Host {
	return Host{
		CPUInfo: "/proc/cpuinfo", BootID: "/proc/sys/kernel/random/boot_id",
		Device: "/dev/kvm", CacheDir: "/run/katapod", Probe: Probe,
	}
}

// Choose decides on the accelerator of this machine, see [Host.Choose].
func Choose(ctx context.Context, want string) (name, reason string, err error) {
	return This().Choose(ctx, want)
}

// Choose returns "kvm" or "tcg" and why. want is one of these, or empty to take
// KVM where it is native. Asking for KVM where it is not native is
// errdefs.ErrFailedPrecondition; another name is errdefs.ErrInvalidArgument.
func (h Host) Choose(ctx context.Context, want string) (name, reason string, err error) {
	if want == TCG {
		return TCG, "the configuration asks for it", nil
	}
	f, err := h.facts(ctx)
	if err != nil {
		return "", "", err
	}
	return decide(want, f)
}

// facts is what the decision rests on.
type facts struct {
	// device is nil when KVM's device opens.
	device error
	// flag is the processor's flag for hardware virtualization, or empty.
	flag string
	// finding is the probe's; it is set when there are a device and a flag.
	finding Finding
}

func (h Host) facts(ctx context.Context) (facts, error) {
	var f facts
	if f.device = opens(h.Device); f.device != nil {
		return f, nil
	}
	var err error
	if f.flag, err = virtualizationFlag(h.CPUInfo); err != nil || f.flag == "" {
		return f, err
	}
	cache := cache{dir: h.CacheDir, bootID: h.BootID}
	if finding, ok := cache.load(); ok {
		f.finding = finding
		return f, nil
	}
	probe := h.Probe
	if probe == nil {
		probe = Probe
	}
	f.finding, err = probe(ctx, h.Device)
	if err != nil {
		return f, fmt.Errorf("try out KVM: %w", err)
	}
	if err := cache.store(f.finding); err != nil {
		log.G(ctx).WithError(err).Warn("the verdict about KVM could not be kept; the next VM will probe again")
	}
	return f, nil
}

func opens(device string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s", device)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// decide is the decision itself, a pure function.
func decide(want string, f facts) (name, reason string, err error) {
	if want != "" && want != KVM && want != TCG {
		return "", "", fmt.Errorf("accelerator %q: allowed are kvm, tcg, and nothing for the best one: %w", want, errdefs.ErrInvalidArgument)
	}
	if want == TCG {
		return TCG, "the configuration asks for it", nil
	}
	reason = ""
	switch {
	case f.device != nil:
		reason = "KVM cannot be used: " + f.device.Error()
	case f.flag == "":
		reason = "the processor shows neither vmx nor svm, so that KVM on this host is software"
	case f.finding.Verdict != Native:
		reason = fmt.Sprintf("KVM on this host is %s: %s", f.finding.Verdict, f.finding.Detail)
	default:
		return KVM, "KVM on this host is native: " + f.finding.Detail, nil
	}
	if want == KVM {
		return "", "", fmt.Errorf("the configuration asks for the accelerator kvm, but %s; set it to tcg, or leave it out to have the choice made: %w", reason, errdefs.ErrFailedPrecondition)
	}
	return TCG, reason, nil
}
