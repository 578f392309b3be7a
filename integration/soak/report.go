// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// report prints the table and draws the samples; what grows is the error.
func (s *soak) report() error {
	if len(s.series) == 0 {
		return nil // the run did not get so far, and says why
	}
	var all []verdict
	var grown []error
	for _, r := range rules() {
		if len(s.series[r.name]) == 0 {
			continue // under runc there is no guest, and the shim does not tell of its goroutines
		}
		v := judge(r, s.series[r.name], s.peaks[r.name])
		all = append(all, v)
		if v.grows() {
			grown = append(grown, fmt.Errorf("%s grows by %.3g per pod one after another, by %.3g at once; limits are %g and %g: %s",
				v.name, v.line.slope, v.crowdGrowth, v.limit, v.crowd, v.why))
		}
	}
	path := filepath.Join(s.out, "soak.svg")
	if err := os.WriteFile(path, []byte(draw(all, s.series, s.peaks)), 0o644); err != nil {
		return fmt.Errorf("write the drawing: %w", err)
	}
	err := printTable(os.Stdout, all)
	fmt.Printf("drawn to %s\n", path)
	return errors.Join(append(grown, err)...)
}

func printTable(to io.Writer, all []verdict) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nwhat\tunit\tfirst\tlast\tper 100 pods\tlimit\tper 100 at once\tlimit\tgrows\t")
	for _, v := range all {
		crowd := "–"
		if v.crowded {
			crowd = fmt.Sprintf("%+.1f", 100*v.crowdGrowth)
		}
		grows := "no"
		if v.grows() {
			grows = "YES"
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%+.1f\t%g\t%s\t%g\t%s\t\n",
			v.name, v.unit, v.first, v.last, 100*v.line.slope, 100*v.limit, crowd, 100*v.crowd, grows)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}
