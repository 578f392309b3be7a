// SPDX-License-Identifier: Apache-2.0

// Package docs holds the documentation against the code: the rooms and their
// arrows, the commands, the tables.
package docs

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/katapod/katapod/"

// mayImport is the table of rooms in architecture.md. A room may always import
// itself; cmd and integration may import everything.
var mayImport = map[string][]string{
	"shim":        {"sandbox", "protocols"},
	"sandbox":     {"hypervisor", "network", "protocols"},
	"hypervisor":  {"protocols"},
	"network":     {},
	"protocols":   {},
	"agent":       {"protocols"},
	"guest-image": {},
	"docs":        {},
}

func TestArrowsPointOneWay(t *testing.T) {
	for path, imports := range packages(t) {
		from := room(path)
		allowed, limited := mayImport[from]
		if !limited {
			if from != "cmd" && from != "integration" {
				t.Errorf("package %s is in a room that architecture.md does not have", path)
			}
			continue
		}
		for _, to := range imports {
			if !strings.HasPrefix(to, module) || room(to) == from || slices.Contains(allowed, room(to)) {
				continue
			}
			t.Errorf("%s imports %s: %s may import only %v", path, to, from, allowed)
		}
	}
}

// Of protocols, a VMM's driver knows streams and how long to wait, not the agent.
func TestHypervisorKnowsNoAgent(t *testing.T) {
	for path, imports := range packages(t) {
		if room(path) != "hypervisor" {
			continue
		}
		for _, to := range imports {
			if room(to) == "protocols" && to != module+"protocols/transport" && to != module+"protocols/timeouts" {
				t.Errorf("%s imports %s: a VMM's driver knows streams, not the agent", path, to)
			}
		}
	}
}

// room is the top folder of a package of this module.
func room(path string) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
	return top
}

// packages lists the module's packages with what their non-test files import.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the module's packages: %v", err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		found[fields[0]] = fields[1:]
	}
	if len(found) < 10 {
		t.Fatalf("go list found only %d packages", len(found))
	}
	return found
}
