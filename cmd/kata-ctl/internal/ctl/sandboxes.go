// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
)

// pod is one line of the list.
type pod struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace"` // containerd's
	// State is "up", "starting" or "failed".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Reason says why a pod failed.
	Reason string `json:"reason,omitempty"`
	Dir    string `json:"dir"`
}

func (t Tool) sandboxes(_ context.Context, f flags) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	list, err := listPods(c.Runtime.SandboxesDir())
	if err != nil {
		return err
	}
	reports, unread := failure.Records(c.Runtime.FailuresDir())
	addFailures(list, reports)
	if unread != nil {
		fmt.Fprintf(t.Err, "kata-ctl sandboxes: %v\n", unread)
	}
	if f.json {
		return t.writeJSON(list)
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SANDBOX\tNAMESPACE\tSTATE\tSINCE\tREASON")
	for _, p := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.ID, p.Namespace, p.State, p.Since.Format(time.RFC3339), p.Reason)
	}
	return w.Flush()
}

// listPods reads the directory of all pods; one that is absent has none.
func listPods(dir string) ([]pod, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []pod{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the pods: %w", err)
	}
	list := make([]pod, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue // gone meanwhile, or nothing of ours
		}
		list = append(list, describe(filepath.Join(dir, e.Name()), info.ModTime()))
	}
	return list, nil
}

// addFailures says of which pods it is known that they failed.
func addFailures(list []pod, reports []*failure.Report) {
	for _, r := range reports {
		for i := range list {
			if p := &list[i]; p.ID == r.Pod && p.Namespace == r.Namespace {
				p.State, p.Since, p.Reason = "failed", r.At, fmt.Sprintf("%v [%s]", r.Cause, r.Code)
			}
		}
	}
}

// findPod is the directory of the pod of that name: its id, or its id and its
// namespace as "id@namespace".
func findPod(all, name string) (string, error) {
	list, err := listPods(all)
	if err != nil {
		return "", err
	}
	var found []string
	for _, p := range list {
		if name == p.ID || name == filepath.Base(p.Dir) {
			found = append(found, p.Dir)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("there is no pod %q in %s: no pod of that id is up on this host: %w", name, all, errdefs.ErrNotFound)
	case 1:
		return found[0], nil
	default:
		return "", fmt.Errorf("several namespaces have a pod %s; name one of %q: %w", name, found, errdefs.ErrInvalidArgument)
	}
}

// describe goes by the files that a pod leaves on its way, see package sandbox.
func describe(dir string, made time.Time) pod {
	p := pod{State: "starting", Since: made, Dir: dir}
	p.Namespace, p.ID = config.SplitSandboxDir(dir)
	if info, err := os.Stat(filepath.Join(dir, "timeline.json")); err == nil {
		p.State, p.Since = "up", info.ModTime()
	}
	return p
}
