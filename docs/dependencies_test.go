// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestEveryDirectDependencyHasAReason holds go.mod against the README's table,
// which names modules by the end of their path.
func TestEveryDirectDependencyHasAReason(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "## Dependencies")
	direct := regexp.MustCompile(`(?m)^\t(\S+/\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1)
	if len(direct) == 0 {
		t.Fatal("go.mod requires nothing: is the pattern still right?")
	}
	for _, m := range direct {
		name := regexp.MustCompile(`/v\d+$`).ReplaceAllString(m[1], "")
		if !strings.Contains(table, path.Base(name)) {
			t.Errorf("go.mod requires %s, and the README does not say why", m[1])
		}
	}
}
