// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Ctr runs ctr inside the node, in the containerd namespace that bears the node's name, and returns what it printed.
func (n *Node) Ctr(ctx context.Context, args ...string) (string, error) {
	return n.Runner().Run(ctx, "ctr", args...)
}

// ImportImages loads an archive of OCI images for CRI and for ctr.
func (n *Node) ImportImages(ctx context.Context, archive string) error {
	for _, namespace := range []string{"k8s.io", n.Name()} {
		if _, err := n.Ctr(ctx, "--namespace", namespace, "images", "import", "--no-unpack", archive); err != nil {
			return err
		}
	}
	return nil
}

// RemoveAll removes every pod and every container of the node. It goes on after errors and returns all of them.
func (n *Node) RemoveAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var errs []error
	pods, err := n.Crictl(ctx, "pods", "--quiet")
	errs = append(errs, err)
	if strings.TrimSpace(pods) != "" {
		_, err := n.Crictl(ctx, "rmp", "--all", "--force")
		errs = append(errs, err)
	}
	containers, err := n.Ctr(ctx, "containers", "list", "--quiet")
	errs = append(errs, err)
	for _, id := range strings.Fields(containers) {
		// A container without a task is fine here.
		if res, err := n.Runner().Try(ctx, "ctr", "tasks", "rm", "--force", id); err != nil {
			errs = append(errs, err)
		} else if res.Code != 0 && !strings.Contains(res.Stderr, "not found") {
			errs = append(errs, errors.New(strings.TrimSpace(res.Stderr)))
		}
		_, err := n.Ctr(ctx, "containers", "rm", id)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
