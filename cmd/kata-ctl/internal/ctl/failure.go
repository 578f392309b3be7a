// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/failure"
)

// failed is a report in the answer's form.
type failed struct {
	Pod       string       `json:"pod"`
	Namespace string       `json:"namespace"` // containerd's
	Step      string       `json:"step"`
	Code      failure.Code `json:"code"`
	Meaning   string       `json:"meaning"`
	Cause     string       `json:"cause"`
	Causes    string       `json:"usual_causes"`
	Remedy    string       `json:"remedy"`
	Console   string       `json:"console,omitempty"`
	VMMLog    string       `json:"vmm_log,omitempty"`
	At        time.Time    `json:"at"`
}

func describeFailure(r *failure.Report) failed {
	about := failure.Explain(r.Code)
	return failed{
		Pod: r.Pod, Namespace: r.Namespace, Step: r.Step, Code: r.Code, Cause: r.Cause.Error(),
		Meaning: about.Meaning, Causes: about.Causes, Remedy: about.Remedy,
		Console: r.Console, VMMLog: r.VMMLog, At: r.At,
	}
}

// failure shows why a pod failed, or lists the last pods that did.
func (t Tool) failure(_ context.Context, f flags) error {
	if len(f.rest) > 1 {
		return fmt.Errorf("one sandbox id, or none, is needed; %w", errUsage)
	}
	c, err := f.load()
	if err != nil {
		return err
	}
	dir := c.Runtime.FailuresDir()
	reports, unread := failure.Records(dir)
	list := make([]failed, 0, len(reports))
	for _, r := range reports {
		if len(f.rest) == 0 || f.rest[0] == r.Pod || f.rest[0] == r.Pod+"@"+r.Namespace {
			list = append(list, describeFailure(r))
		}
	}
	switch {
	case len(f.rest) == 0:
		return errors.Join(t.listFailures(list, f.json), unread)
	case len(list) == 0:
		return errors.Join(fmt.Errorf("there is no failure of a pod %q in %s, which keeps the last %d: %w",
			f.rest[0], dir, failure.Kept, errdefs.ErrNotFound), unread)
	}
	return t.showFailure(list[0], f.json)
}

func (t Tool) listFailures(list []failed, asJSON bool) error {
	if asJSON {
		return t.writeJSON(list)
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SANDBOX\tNAMESPACE\tAT\tSTEP\tCODE")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Pod, r.Namespace, r.At.Format(time.RFC3339), r.Step, r.Code)
	}
	return w.Flush()
}

func (t Tool) showFailure(r failed, asJSON bool) error {
	if asJSON {
		return t.writeJSON(r)
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"sandbox", r.Pod}, {"namespace", r.Namespace}, {"at", r.At.Format(time.RFC3339)}, {"step", r.Step},
		{"code", string(r.Code) + ": " + r.Meaning}, {"cause", r.Cause}, {"usually", r.Causes}, {"remedy", r.Remedy},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	t.lastWords(r.Console, r.VMMLog)
	return nil
}

// lastWords shows what the guest and its VMM said at the end.
func (t Tool) lastWords(console, vmm string) {
	for _, words := range [...]struct{ whose, text string }{{"guest's console", console}, {"VMM", vmm}} {
		if words.text != "" {
			fmt.Fprintf(t.Out, "last words of the %s:\n%s\n", words.whose, words.text)
		}
	}
}
