// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// biggest is how many modules of a binary the page lists, and drift how far a size there may be from the binary's
// before the page has to be written anew: each change of our own code changes what the linker keeps of others'.
const (
	biggest = 10
	drift   = 0.25
)

// zeroes is the size of what is no part of the file: nm takes the zeroed memory of Go's random numbers for data.
const zeroes = 16 << 20

// Groups of symbols that belong to no module.
const (
	standardLibrary = "Go's standard library and runtime"
	ownCode         = "this project"
)

// TestSizesOfBinaries: what the page binaries.md says is in the binaries is in them.
func TestSizesOfBinaries(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the binaries, which takes long; run without -short")
	}
	var text strings.Builder
	for _, name := range []string{"containerd-shim-kata-v2", "kata-agent"} {
		binary := build(t, name)
		sizes := sizesByModule(t, binary)
		rows := [][]string{row(ownCode, sizes[ownCode]), row(standardLibrary, sizes[standardLibrary])}
		delete(sizes, ownCode)
		delete(sizes, standardLibrary)
		for _, module := range largest(sizes) {
			rows = append(rows, row("`"+module+"`", sizes[module]))
		}
		fmt.Fprintf(&text, "## %s\n\n%s\n", name, table([]string{"part", "KiB"}, rows))
	}
	if *update || !near(readPage(t, "binaries.md"), text.String()) {
		holds(t, "binaries.md", "sizes", text.String())
	}
}

func row(what string, bytes int64) []string { return []string{what, strconv.FormatInt(bytes>>10, 10)} }

// build makes a binary with its symbols.
func build(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/"+name)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// sizesByModule adds up the symbols of a binary that are in its file, code and data, by the module that they are of.
func sizesByModule(t *testing.T, binary string) map[string]int64 {
	t.Helper()
	modules := modulesOf(t, binary)
	out, err := exec.Command("go", "tool", "nm", "-size", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.Contains("TtRrDd", fields[2]) {
			continue
		}
		size, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			t.Fatalf("a size of go tool nm: %v in %q", err, lines.Text())
		}
		if size >= zeroes {
			continue
		}
		sizes[owner(strings.Join(fields[3:], " "), modules)] += size
	}
	return sizes
}

var dependency = regexp.MustCompile(`(?m)^\tdep\t(\S+)\t`)

func modulesOf(t *testing.T, binary string) []string {
	t.Helper()
	out, err := exec.Command("go", "version", "-m", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, m := range dependency.FindAllStringSubmatch(string(out), -1) {
		modules = append(modules, m[1])
	}
	if len(modules) == 0 {
		t.Fatalf("%s depends on nothing: is the pattern still right?", binary)
	}
	// The longest first: a module may be in the directory of another.
	slices.SortFunc(modules, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return modules
}

// owner is the module whose package a symbol is of. Generic code counts for who wrote it, as types do.
func owner(symbol string, modules []string) string {
	symbol, _, _ = strings.Cut(symbol, "[")
	for _, prefix := range []string{"type:.eq.", "type:.hash.", "type:*", "type:", "go:itab.*", "go:itab."} {
		symbol = strings.TrimPrefix(symbol, prefix)
	}
	if strings.HasPrefix(symbol, strings.TrimSuffix(module, "/")) {
		return ownCode
	}
	for _, m := range modules {
		if strings.HasPrefix(symbol, m+"/") || strings.HasPrefix(symbol, m+".") {
			return m
		}
		// A package at the root of a module has the last dot of its name escaped.
		dir, base := filepath.Split(m)
		if strings.HasPrefix(symbol, dir+strings.ReplaceAll(base, ".", "%2e")+".") {
			return m
		}
	}
	return standardLibrary
}

func largest(sizes map[string]int64) []string {
	names := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b))
	})
	return names[:min(biggest, len(names))]
}

var cell = regexp.MustCompile(`(?m)^\| (.+?) \| (\d+) \|$`)

// near tells whether a page lists about the sizes of want. Modules at the end of the list may change places.
func near(page, want string) bool {
	told, has := cellsOf(page), cellsOf(want)
	missing := 0
	for name, size := range has {
		was, listed := told[name]
		switch {
		case !listed:
			missing++
		case was > size*(1+drift) || was < size*(1-drift):
			return false
		}
	}
	return missing <= 2
}

// cellsOf are the sizes of a page, by the binary and the part.
func cellsOf(page string) map[string]float64 {
	cells := map[string]float64{}
	for section := range strings.SplitSeq(page, "\n## ") {
		name, _, _ := strings.Cut(strings.TrimPrefix(section, "## "), "\n")
		for _, m := range cell.FindAllStringSubmatch(section, -1) {
			cells[name+" "+m[1]], _ = strconv.ParseFloat(m[2], 64)
		}
	}
	return cells
}

func TestNear(t *testing.T) {
	const page = "about\n\n## a\n\n| x | 100 |\n| y | 10 |\n\n## b\n\n| x | 500 |\n"
	for want, is := range map[string]bool{
		"## a\n\n| x | 110 |\n| y | 11 |\n\n## b\n\n| x | 450 |\n": true,
		"## a\n\n| x | 500 |\n\n## b\n\n| x | 500 |\n":             false,
		"## a\n\n| p | 1 |\n| q | 1 |\n| r | 1 |\n":                false,
	} {
		if near(page, want) != is {
			t.Errorf("a page with %q and binaries with %q: near is %v", page, want, !is)
		}
	}
}

func TestOwnerOfASymbol(t *testing.T) {
	modules := []string{"github.com/containerd/containerd/v2", "github.com/pelletier/go-toml/v2", "gopkg.in/yaml.v3"}
	for symbol, want := range map[string]string{
		"github.com/katapod/katapod/sandbox.New":                        ownCode,
		"github.com/containerd/containerd/v2/core/mount.(*Mount).Mount": "github.com/containerd/containerd/v2",
		"github.com/pelletier/go-toml/v2.Unmarshal":                     "github.com/pelletier/go-toml/v2",
		"gopkg.in/yaml%2ev3.Unmarshal":                                  "gopkg.in/yaml.v3",
		"type:.eq.github.com/pelletier/go-toml/v2.x":                    "github.com/pelletier/go-toml/v2",
		"runtime.mallocgc":                                              standardLibrary,
		"slices.pdq[go.sh]":                                             standardLibrary,
	} {
		if got := owner(symbol, modules); got != want {
			t.Errorf("%s is of %s, want %s", symbol, got, want)
		}
	}
}
