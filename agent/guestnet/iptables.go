// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/containerd/errdefs"
)

// Runner runs a command to its end and returns its exit code.
type Runner interface {
	RunCommand(cmd *exec.Cmd) (int, error)
}

// lockSeconds is how long the tools wait for each other.
const lockSeconds = "5"

// SaveRules returns the packet filter's rules as iptables-save writes them.
func SaveRules(ctx context.Context, run Runner, ipv6 bool) ([]byte, error) {
	return iptables(ctx, run, tool(ipv6, "save"), nil)
}

// RestoreRules replaces the packet filter's rules by those given in the form of
// iptables-save, and returns what iptables-restore said.
func RestoreRules(ctx context.Context, run Runner, ipv6 bool, rules []byte) ([]byte, error) {
	return iptables(ctx, run, tool(ipv6, "restore"), rules, "--wait", lockSeconds)
}

func tool(ipv6 bool, what string) string {
	if ipv6 {
		return "ip6tables-" + what
	}
	return "iptables-" + what
}

func iptables(ctx context.Context, run Runner, name string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	if errors.Is(cmd.Err, exec.ErrNotFound) {
		return nil, fmt.Errorf("the guest's image has no %s: %w", name, errdefs.ErrNotImplemented)
	}
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaint
	code, err := run.RunCommand(cmd)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("%s ended with %d: %s", name, code, strings.TrimSpace(complaint.String()))
	}
	return out.Bytes(), nil
}
