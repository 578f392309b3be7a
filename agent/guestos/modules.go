// SPDX-License-Identifier: Apache-2.0

package guestos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
)

// Runner runs a command to its end and returns its exit code.
type Runner interface {
	RunCommand(cmd *exec.Cmd) (int, error)
}

// LoadModule loads a kernel module. One that is part of the kernel, or loaded,
// is no error, but then it takes no parameters.
func LoadModule(ctx context.Context, run Runner, name string, parameters []string) error {
	if name == "" || strings.ContainsAny(name, "/. ") || strings.HasPrefix(name, "-") {
		return fmt.Errorf("%q is not the name of a kernel module: %w", name, errdefs.ErrInvalidArgument)
	}
	if _, err := os.Stat(filepath.Join("/sys/module", strings.ReplaceAll(name, "-", "_"))); err == nil && len(parameters) == 0 {
		return nil
	}
	_, err := tool(ctx, run, "modprobe", append([]string{name}, parameters...)...)
	if err != nil {
		return fmt.Errorf("load the kernel module %s: %w", name, err)
	}
	return nil
}

// tool runs a program of the guest's image and returns its output.
func tool(ctx context.Context, run Runner, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	if errors.Is(cmd.Err, exec.ErrNotFound) {
		return "", fmt.Errorf("the guest's image has no %s: %w", name, errdefs.ErrNotImplemented)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	code, err := run.RunCommand(cmd)
	if err != nil {
		return "", err
	}
	if code != 0 {
		return "", fmt.Errorf("%s ended with %d: %s", name, code, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}
