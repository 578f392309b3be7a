// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fence matches a fenced shell block of a Markdown page.
var fence = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestEveryMakeTargetOfTheDocsExists holds each `make X` of every page against
// the list that `make help` prints.
func TestEveryMakeTargetOfTheDocsExists(t *testing.T) {
	help, err := exec.Command("make", "-C", "..", "--no-print-directory", "help").Output()
	if err != nil {
		t.Fatalf("run make help: %v", err)
	}
	seen := 0
	for page, block := range shellBlocks(t) {
		for line := range strings.Lines(block) {
			fields := strings.Fields(line)
			if len(fields) < 2 || fields[0] != "make" {
				continue
			}
			seen++
			if !strings.Contains(string(help), "make "+fields[1]+" ") {
				t.Errorf("%s says `make %s`, which make help does not list", page, fields[1])
			}
		}
	}
	if seen == 0 {
		t.Fatal("no page names a make target: is the pattern of fenced blocks still right?")
	}
}

// TestEveryFileNamedInTheReadmeExists follows the paths in backquotes.
func TestEveryFileNamedInTheReadmeExists(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:docs/)?[A-Za-z-]+\\.md)`").FindAllStringSubmatch(string(text), -1)
	if len(named) == 0 {
		t.Fatal("the README names no page")
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("the README names a page that is not there: %v", err)
		}
	}
}

// shellBlocks yields the fenced shell blocks of the README and of docs/.
func shellBlocks(t *testing.T) func(yield func(page, block string) bool) {
	t.Helper()
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, "../README.md", "../CONTRIBUTING.md", "../guest-image/README.md")
	return func(yield func(page, block string) bool) {
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
				if !yield(page, m[1]) {
					return
				}
			}
		}
	}
}
