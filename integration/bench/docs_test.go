// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const docPage = "../../docs/performance.md"

// part is what the page has between two marks.
func part(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- "+name+":begin -->")
	inside, _, ended := strings.Cut(rest, "<!-- "+name+":end -->")
	if !found || !ended {
		t.Fatalf("%s has no part %s", docPage, name)
	}
	return inside
}

// The page names figures, with their suites, that there are; and every figure with a target.
func TestFiguresOfThePage(t *testing.T) {
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)`([^`]+)` \\| ([a-z]+) \\|$").FindAllStringSubmatch(part(t, "figures"), -1) {
		named[m[1]] = true
		if !slices.ContainsFunc(rows(100), func(r row) bool { return r.name == m[1] && r.suite == m[2] }) {
			t.Errorf("the page has %q of suite %s, which is no figure", m[1], m[2])
		}
	}
	for _, r := range rows(100) {
		if r.target.met != nil && !named[r.name] && !slices.Contains([]string{densityFirst, manyFurther(100)}, r.name) {
			t.Errorf("the page lacks %q, which has a target", r.name)
		}
	}
}

// manyFurther is the same as densityFurther, with more pods.
func manyFurther(crowd int) string {
	name, _, _, _ := densityNames(crowd)
	return name
}

func TestOptionsOfThePage(t *testing.T) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	o.define(flags)
	page := part(t, "options")
	count := 0
	flags.VisitAll(func(f *flag.Flag) {
		count++
		if !strings.Contains(page, "| `-"+f.Name+"` |") || !strings.Contains(page, "| "+f.Usage+" |") {
			t.Errorf("the page lacks -%s, %s", f.Name, f.Usage)
		}
	})
	if rows := strings.Count(page, "| `-"); rows != count {
		t.Errorf("the page has %d options, the program %d", rows, count)
	}
}

// The page's commands work: the quick one is run, and its report is read; of the others the options are.
func TestCommandsOfThePage(t *testing.T) {
	text, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	for _, m := range regexp.MustCompile("(?m)^go run ./integration/bench (.*)$").FindAllStringSubmatch(string(text), -1) {
		words := strings.Fields(m[1])
		if err := (&options{}).parse(words); err != nil {
			t.Errorf("%s: %v", m[0], err)
		}
		commands = append(commands, words)
	}
	if len(commands) < 2 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	if os.Getuid() != 0 {
		t.Skip("a node needs root")
	}
	if _, err := os.Stat("../../out/bin/containerd-shim-kata-v2"); err != nil {
		t.Skipf("nothing is built (make build guest node): %v", err)
	}
	dir := t.TempDir()
	words := append([]string{"run", "./integration/bench"}, commands[0]...)
	run := exec.CommandContext(t.Context(), "go", append(words, "-name", "kpnode-page", "-report", dir)...)
	run.Dir = "../.."
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", words, err, out)
	}
	byName, err := readEarlier(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, found := byName[ctrRun]
	if !found || f.Median == nil || *f.Median <= 0 || f.RuncMedian == nil || *f.RuncMedian <= 0 || f.Met == nil {
		t.Errorf("the report has %+v of %q, found %v", f, ctrRun, found)
	}
	holdsPage(t, filepath.Join(dir, "bench.html"), ctrRun)
}
