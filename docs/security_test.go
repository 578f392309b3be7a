// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The page names each test of what a pod reaches, and no test that is not there.
func TestSecurityNamesItsTests(t *testing.T) {
	page, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	suite := testsOf(t, "integration/security")
	delete(suite, "TestMain")
	there := maps.Clone(suite)
	for _, pkg := range []string{"hypervisor/qemu", "sandbox"} {
		maps.Copy(there, testsOf(t, pkg))
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`\bTest[A-Za-z]+\b`).FindAllString(string(page), -1) {
		named[name] = true
		if !there[name] {
			t.Errorf("security.md names %s, which no package has", name)
		}
	}
	for name := range suite {
		if !named[name] {
			t.Errorf("security.md does not say what %s asserts", name)
		}
	}
	for name := range testsOf(t, "sandbox") {
		if strings.HasPrefix(name, "TestVMTakenOver") && !named[name] {
			t.Errorf("security.md does not say what %s asserts", name)
		}
	}
}
