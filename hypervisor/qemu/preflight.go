// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// preflight finds what can be known to be wrong before QEMU is started, where
// it would come back as a timeout or an obscure message.
func preflight(cfg hypervisor.Config) error {
	checks := []func(hypervisor.Config) error{
		checkNumbers, checkNames, checkMachine, checkSlots,
		blame(hypervisor.ErrBinary, checkBinary), blame(hypervisor.ErrKernel, checkKernel), checkRoot, checkEntropy, checkDisks, checkShares, checkSnapshot, blame(hypervisor.ErrSnapshot, checkSaved),
	}
	for _, check := range checks {
		if err := check(cfg); err != nil {
			return err
		}
	}
	return nil
}

// blame gives what a check finds its cause.
func blame(cause error, check func(hypervisor.Config) error) func(hypervisor.Config) error {
	return func(cfg hypervisor.Config) error { return hypervisor.Because(cause, check(cfg)) }
}

// maxDir keeps Dir plus a socket's name within a unix socket address.
const maxDir = 60

// maxMemorySlots is QEMU's own bound (ACPI_MAX_RAM_SLOTS).
const maxMemorySlots = 256

func checkNumbers(cfg hypervisor.Config) error {
	switch {
	case cfg.VCPUs < 1:
		return invalid("a VM needs at least 1 vCPU, not %d", cfg.VCPUs)
	case cfg.MemoryMiB < 64:
		return invalid("a VM needs at least 64 MiB of memory, not %d", cfg.MemoryMiB)
	case cfg.MemorySlots < 0 || cfg.MemorySlots > maxMemorySlots:
		return invalid("%d slots for memory: 0 to %d are possible", cfg.MemorySlots, maxMemorySlots)
	case len(cfg.Dir) > maxDir:
		return invalid("the VM's directory %s is longer than %d bytes, so that sockets in it could not be reached; use a shorter one", cfg.Dir, maxDir)
	}
	if st, err := os.Stat(cfg.Dir); err != nil || !st.IsDir() {
		return invalid("the VM's directory %q is not a directory", cfg.Dir)
	}
	return nil
}

func checkNames(cfg hypervisor.Config) error {
	features := regexp.MustCompile(`^[A-Za-z0-9_.,=+-]*$`)
	if !features.MatchString(cfg.CPUFeatures) {
		return invalid("CPU features %q: only letters, digits and _ . , = + - are allowed", cfg.CPUFeatures)
	}
	for _, p := range cfg.KernelParams {
		if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return invalid("kernel parameter %q has control characters", p)
		}
	}
	seen := map[string]bool{imageID: true}
	for _, d := range cfg.Disks {
		if err := checkID(d.ID, seen); err != nil {
			return fmt.Errorf("disk: %w", err)
		}
	}
	seen = map[string]bool{}
	for _, n := range cfg.NICs {
		if err := checkNIC(n, seen); err != nil {
			return fmt.Errorf("network device: %w", err)
		}
	}
	return nil
}

func checkNIC(n hypervisor.NIC, seen map[string]bool) error {
	if err := checkID(n.ID, seen); err != nil {
		return err
	}
	if _, err := net.ParseMAC(n.MAC); err != nil {
		return invalid("%s: %q is no MAC address", n.ID, n.MAC)
	}
	if len(n.TapFDs) == 0 {
		return invalid("%s has no open TAP queue; where the host lacks /dev/net/tun, load the module tun", n.ID)
	}
	if v := len(n.VhostFDs); v != 0 && v != len(n.TapFDs) {
		return invalid("%s has %d TAP queues and %d vhost descriptors; there must be as many, or no vhost", n.ID, len(n.TapFDs), v)
	}
	return nil
}

// maxID is what virtio-blk has room for as a serial number.
const maxID = 20

func checkID(id string, seen map[string]bool) error {
	if !regexp.MustCompile(`^[A-Za-z0-9-]+$`).MatchString(id) || len(id) > maxID {
		return invalid("id %q: 1 to %d letters, digits and dashes are allowed", id, maxID)
	}
	if seen[id] {
		return fmt.Errorf("id %s is used twice: %w", id, errdefs.ErrAlreadyExists)
	}
	seen[id] = true
	return nil
}

func checkMachine(cfg hypervisor.Config) error {
	name := machineName(cfg)
	if name == "q35" || regexp.MustCompile(`^pc-q35-[0-9.]+$`).MatchString(name) {
		return nil
	}
	return fmt.Errorf("machine type %q: only q35 and pc-q35-<version> are supported, since others cannot take devices while they run: %w", name, errdefs.ErrInvalidArgument)
}

func checkBinary(cfg hypervisor.Config) error {
	st, err := os.Stat(cfg.Binary)
	if err != nil {
		return missing("QEMU", cfg.Binary, err, "install qemu-system-x86 or correct \"path\" in the configuration")
	}
	if st.IsDir() || st.Mode()&0o111 == 0 {
		return invalid("QEMU %s is not an executable file; correct \"path\" in the configuration", cfg.Binary)
	}
	return nil
}

func checkEntropy(cfg hypervisor.Config) error {
	if cfg.EntropySource == "" {
		return nil
	}
	if _, err := os.Stat(cfg.EntropySource); err != nil {
		return missing("the source of the guest's random numbers", cfg.EntropySource, err, "correct \"entropy_source\" in the configuration")
	}
	return nil
}

func checkDisks(cfg hypervisor.Config) error {
	for _, d := range cfg.Disks {
		if _, err := blockDriver(d.Path); err != nil {
			return fmt.Errorf("disk %s: %w", d.ID, err)
		}
	}
	return nil
}

// blockDriver is QEMU's driver for what is at path.
func blockDriver(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", missing("its file", path, err, "the snapshotter or volume plug-in that made it must keep it")
	}
	return driverFor(path, st)
}

// driverFor is QEMU's driver for the file at path.
func driverFor(path string, info fs.FileInfo) (string, error) {
	switch {
	case info.Mode().IsRegular():
		return "file", nil
	case info.Mode()&fs.ModeDevice != 0 && info.Mode()&fs.ModeCharDevice == 0:
		return "host_device", nil
	}
	return "", invalid("%s is neither a regular file nor a block device", path)
}

func checkShares(cfg hypervisor.Config) error {
	seen := map[string]bool{}
	for _, s := range cfg.Shares {
		if err := checkShare(s, seen); err != nil {
			return err
		}
	}
	return nil
}

func checkShare(s hypervisor.Share, seen map[string]bool) error {
	if err := checkID(s.Tag, seen); err != nil {
		return fmt.Errorf("the share's tag as its %w", err)
	}
	st, err := os.Stat(s.Socket)
	if err != nil {
		return missing("the socket of share "+s.Tag, s.Socket, err, "its file system daemon must listen before the VM gets it")
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return invalid("share %s: %s is not a socket", s.Tag, s.Socket)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, errdefs.ErrInvalidArgument)...)
}

func missing(what, path string, err error, remedy string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing at %q; %s: %w", what, path, remedy, errdefs.ErrNotFound)
	}
	return fmt.Errorf("%s at %q cannot be used; %s: %w", what, path, remedy, err)
}
