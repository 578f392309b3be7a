// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/katapod/katapod/integration/conformance"
	"github.com/katapod/katapod/integration/node"
)

// try runs the suite with one handler. The error tells how the outcome differs from what is expected.
func try(ctx context.Context, n *node.Node, suite node.Suite, o options, handler string, expected conformance.Expected, p *node.Progress) error {
	p.Heading("critest with the handler %s", handler)
	begin := time.Now()
	report, err := runSuite(ctx, n, suite, o, handler)
	if err != nil {
		return err
	}
	p.Fact("%d passed, %d failed, %d skipped in %s", len(report.Passed), len(report.Failed), len(report.Skipped),
		time.Since(begin).Round(time.Second))
	for _, f := range report.Failed {
		if why := expected[handler][f.Spec]; why != "" {
			p.Fact("expected failure: %s: %s", f.Spec, why)
		}
	}
	differences := expected.Compare(handler, report, o.focus == "")
	for _, d := range differences {
		p.Fact("%s", d)
	}
	if len(report.Passed) == 0 {
		return fmt.Errorf("with the handler %s no spec passed", handler)
	}
	if len(differences) > 0 {
		return fmt.Errorf("with the handler %s, %d specs are not as %s says; see %s", handler, len(differences), o.page,
			filepath.Join(o.out, "critest-"+handler+".log"))
	}
	return nil
}

// runSuite leaves critest-<handler>.xml and .log in the build output.
func runSuite(ctx context.Context, n *node.Node, suite node.Suite, o options, handler string) (conformance.Report, error) {
	base := filepath.Join(o.out, "critest-"+handler)
	if err := os.RemoveAll(base + ".xml"); err != nil {
		return conformance.Report{}, fmt.Errorf("remove the report of an earlier run: %w", err)
	}
	log, err := os.Create(base + ".log")
	if err != nil {
		return conformance.Report{}, fmt.Errorf("make the suite's log: %w", err)
	}
	defer log.Close()
	args := []string{
		"--runtime-endpoint", "unix://" + n.Socket(), "--image-endpoint", "unix://" + n.Socket(),
		"--runtime-handler", handler, "--ginkgo.junit-report", base + ".xml", "--ginkgo.no-color", "--ginkgo.v",
		"--ginkgo.timeout", o.timeout.String(),
	}
	if o.focus != "" {
		args = append(args, "--ginkgo.focus", o.focus)
	}
	cmd := n.Runner().Command(ctx, suite.CRITest, args...)
	cmd.Env = append(cmd.Env, "TMPDIR="+n.PodLogs()) // it leaves logs behind, which go with the node there
	cmd.Stdout, cmd.Stderr = log, log
	ran := cmd.Run() // fails when a spec does; the report tells more
	file, err := os.Open(base + ".xml")
	if err != nil {
		return conformance.Report{}, fmt.Errorf("critest left no report (it ended with: %v; its log is %s): %w", ran, base+".log", err)
	}
	defer file.Close()
	return conformance.Read(file)
}
