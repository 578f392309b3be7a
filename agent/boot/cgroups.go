// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Cgroups makes the cgroup parent below the root of the cgroup2 mount and turns
// on all of the kernel's controllers from the root down to it, so that the
// cgroups below parent have them. A controller that cannot be turned on is
// logged: what needs it fails later, by name.
func Cgroups(root, parent string) error {
	if err := os.MkdirAll(filepath.Join(root, parent), 0o755); err != nil {
		return fmt.Errorf("make the cgroup %s: %w", parent, err)
	}
	data, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read the kernel's cgroup controllers: %w", err)
	}
	dir := root
	for _, part := range append([]string{""}, strings.Split(filepath.Clean(parent), "/")...) {
		dir = filepath.Join(dir, part)
		if err := enable(dir, strings.Fields(string(data))); err != nil {
			return err
		}
	}
	return nil
}

func enable(dir string, controllers []string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	if os.WriteFile(file, []byte("+"+strings.Join(controllers, " +")), 0) == nil {
		return nil
	}
	// One by one: the kernel takes all or none.
	var errs []error
	for _, c := range controllers {
		if err := os.WriteFile(file, []byte("+"+c), 0); err != nil {
			errs = append(errs, err)
			slog.Warn("a cgroup controller stays off", "controller", c, "cgroup", dir, "error", err)
		}
	}
	if len(errs) == len(controllers) && len(errs) > 0 {
		return fmt.Errorf("turn on the cgroup controllers in %s: %w", dir, errors.Join(errs...))
	}
	return nil
}
