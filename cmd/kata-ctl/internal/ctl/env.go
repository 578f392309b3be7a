// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"

	"github.com/katapod/katapod/hypervisor/accel"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/config"
)

// environment is what a pod on this host runs with. Where something is wrong,
// the field says so in the place of its value.
type environment struct {
	Version  string   `json:"version"`
	Config   string   `json:"config"`
	Warnings []string `json:"warnings,omitempty"`
	VMM      program  `json:"vmm"`
	// Accelerator is "kvm" or "tcg", and Reason why it was chosen.
	Accelerator string  `json:"accelerator"`
	Reason      string  `json:"accelerator_reason"`
	Virtiofsd   program `json:"virtiofsd"`
	Kernel      file    `json:"kernel"`
	Image       file    `json:"image"`
	ImageType   string  `json:"image_type"`
	StateDir    string  `json:"state_dir"`
	HostKernel  string  `json:"host_kernel"`
}

// program is an executable and what it says about itself.
type program struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// file is a file and its size, or why there is none.
type file struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes,omitempty"`
	Error string `json:"error,omitempty"`
}

func (t Tool) env(ctx context.Context, f flags) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	e := t.examine(ctx, c)
	if f.json {
		return t.writeJSON(e)
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"version", e.Version},
		{"configuration", e.Config},
		{"VMM", e.VMM.Path + ", " + e.VMM.Version},
		{"accelerator", e.Accelerator + ": " + e.Reason},
		{"virtiofsd", e.Virtiofsd.Path + ", " + e.Virtiofsd.Version},
		{"guest kernel", e.Kernel.String()},
		{"guest image", e.Image.String() + ", " + e.ImageType},
		{"state directory", e.StateDir},
		{"host kernel", e.HostKernel},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	for _, warning := range e.Warnings {
		fmt.Fprintf(w, "warning\t%s\n", warning)
	}
	return w.Flush()
}

func (t Tool) examine(ctx context.Context, c config.Config) environment {
	h := c.Hypervisor
	e := environment{
		Version: t.Version, Config: c.Path, Warnings: c.Warnings, StateDir: c.Runtime.StateDir,
		VMM:       ask(ctx, h.Path),
		Virtiofsd: ask(ctx, h.Virtiofsd()),
		Kernel:    look(h.Kernel),
		Image:     look(h.Image), ImageType: h.RootfsType,
	}
	if h.Initrd != "" {
		e.Image, e.ImageType = look(h.Initrd), "initrd"
	}
	var err error
	if e.Accelerator, e.Reason, err = accel.Choose(ctx, h.Accelerator); err != nil {
		e.Accelerator, e.Reason = "none", err.Error()
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		release = []byte(err.Error())
	}
	e.HostKernel = strings.TrimSpace(string(release))
	return e
}

// ask runs a program for the first line of its version.
func ask(ctx context.Context, path string) program {
	ctx, cancel := context.WithTimeout(ctx, timeouts.Version)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return program{path, "cannot be asked for its version: " + err.Error()}
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return program{path, strings.TrimSpace(line)}
}

func look(path string) file {
	info, err := os.Stat(path)
	if err != nil {
		return file{Path: path, Error: err.Error()}
	}
	return file{Path: path, Bytes: info.Size()}
}

func (f file) String() string {
	if f.Error != "" {
		return f.Error
	}
	return fmt.Sprintf("%s, %.1f MiB", f.Path, float64(f.Bytes)/(1<<20))
}
