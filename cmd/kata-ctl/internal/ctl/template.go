// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/template"
)

// templateLine is one template of the list.
type templateLine struct {
	Key   string    `json:"key"`
	Made  time.Time `json:"made"`
	Used  time.Time `json:"used"`
	Bytes int64     `json:"bytes"`
	Shape string    `json:"shape"`
}

// template does what its first argument says: list without one, make, check, or
// remove with a key or "all".
func (t Tool) template(ctx context.Context, f flags) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	store := template.Store{Dir: c.TemplateDir()}
	verb, rest := "list", f.rest
	if len(rest) > 0 {
		verb, rest = rest[0], rest[1:]
	}
	switch {
	case verb == "list" && len(rest) == 0:
		return t.listTemplates(store, f.json)
	case verb == "make" && len(rest) == 0:
		return t.makeTemplate(ctx, c, store, f.json)
	case verb == "check" && len(rest) == 0:
		return t.checkTemplates(ctx, store)
	case verb == "remove" && len(rest) == 1:
		return removeTemplates(store, rest[0])
	}
	return fmt.Errorf("list, make, check, remove <key>, or remove all; %w", errUsage)
}

func (t Tool) listTemplates(store template.Store, inJSON bool) error {
	all, err := store.List()
	if err != nil {
		return err
	}
	if inJSON {
		lines := make([]templateLine, 0, len(all))
		for _, one := range all {
			lines = append(lines, templateLine{string(one.Key), one.Made, one.Used, one.Bytes, one.Shape})
		}
		return t.writeJSON(lines)
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TEMPLATE\tMADE\tUSED\tMIB")
	for _, one := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", one.Key, one.Made.Format(time.RFC3339), one.Used.Format(time.RFC3339), one.Bytes>>20)
	}
	return w.Flush()
}

// makeTemplate makes the one for pods that say nothing about their VM.
func (t Tool) makeTemplate(ctx context.Context, c config.Config, store template.Store, inJSON bool) error {
	if err := sandbox.MakeTemplate(ctx, c, t.Program); err != nil {
		return err
	}
	return t.listTemplates(store, inJSON)
}

// checkTemplates takes every digest anew.
func (t Tool) checkTemplates(ctx context.Context, store template.Store) error {
	all, err := store.List()
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := store.Verify(ctx, one.Key); err != nil {
			return fmt.Errorf("template %s, which kata-ctl template remove removes: %w", one.Key, err)
		}
		fmt.Fprintln(t.Out, one.Key, "is as it was made")
	}
	return nil
}

func removeTemplates(store template.Store, which string) error {
	if which != "all" {
		return store.Remove(template.Key(which))
	}
	all, err := store.List()
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := store.Remove(one.Key); err != nil {
			return err
		}
	}
	return nil
}
