// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/katapod/katapod/hypervisor/confine"
	"github.com/katapod/katapod/protocols/timeouts"
)

// findingsDir keeps what was found out about programs until the host's next boot.
const findingsDir = "/run/katapod"

// findNeeds asks the dynamic loader and QEMU itself what the QEMU at binary needs.
func findNeeds(ctx context.Context, binary string) (confine.Needs, error) {
	names, err := confine.Libraries(ctx, binary)
	if err != nil {
		return confine.Needs{}, err
	}
	for _, module := range modules(binary) {
		more, err := confine.Libraries(ctx, module)
		if err != nil {
			return confine.Needs{}, err
		}
		names = append(names, more...)
	}
	n := confine.NeedsOf(names...)
	n.Directories = firmware(ctx, binary)
	return n, nil
}

// modules are the parts that some distributions keep of the translator apart from
// the program: in a directory qemu beside libraries.
func modules(binary string) []string {
	prefix := filepath.Dir(filepath.Dir(binary))
	var all []string
	for _, dir := range []string{"lib/*/qemu", "lib/qemu", "lib64/qemu"} {
		found, _ := filepath.Glob(filepath.Join(prefix, dir, "accel-*.so")) // The pattern is a good one.
		all = append(all, found...)
	}
	return all
}

// firmware are the directories that QEMU looks for firmware in. A QEMU that does not
// say has none, and complains when it is started.
func firmware(ctx context.Context, binary string) []string {
	ctx, cancel := context.WithTimeout(ctx, timeouts.AskVMM)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-L", "help")
	cmd.Env, cmd.Dir = []string{}, "/"
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return nil
	}
	var all []string
	for line := range strings.Lines(out.String()) {
		dir := strings.TrimSpace(line)
		if !filepath.IsAbs(dir) {
			continue
		}
		dir = filepath.Clean(dir)
		if info, err := os.Stat(dir); err == nil && info.IsDir() && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}
