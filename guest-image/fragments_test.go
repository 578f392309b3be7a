// SPDX-License-Identifier: Apache-2.0

package guestimage

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	setLine   = regexp.MustCompile(`^(CONFIG_\w+)=(.+)$`)
	unsetLine = regexp.MustCompile(`^# (CONFIG_\w+) is not set$`)
)

// parseConfig reads lines in the syntax of a kernel's .config into option and
// value, "n" where it is not set.
func parseConfig(text string, each func(option, value string)) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := setLine.FindStringSubmatch(line); m != nil {
			each(m[1], m[2])
		} else if m := unsetLine.FindStringSubmatch(line); m != nil {
			each(m[1], "n")
		}
	}
}

func fragments(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("kernel/*.config")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fragments in guest-image/kernel: %v", err)
	}
	return paths
}

func TestNoOptionIsInTwoFragments(t *testing.T) {
	seen := map[string]string{}
	for _, path := range fragments(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parseConfig(string(text), func(option, _ string) {
			if first, ok := seen[option]; ok {
				t.Errorf("%s is in %s and again in %s: one place must decide it", option, first, path)
			}
			seen[option] = path
		})
	}
}

func TestFragmentsSayWhatTheyAreFor(t *testing.T) {
	for _, path := range fragments(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		if !strings.HasPrefix(first, "# ") || unsetLine.MatchString(first) {
			t.Errorf("%s begins with %q, not with a comment that says what it is for", path, first)
		}
		for number, line := range strings.Split(string(text), "\n") {
			known := line == "" || strings.HasPrefix(line, "# ") || setLine.MatchString(line)
			if !known {
				t.Errorf("%s line %d: %q is neither an option nor a comment", path, number+1, line)
			}
		}
	}
}

// A change of the kernel's source is upkeep for ever: it says what it is worth.
func TestPatchesSayWhatTheyAreFor(t *testing.T) {
	paths, err := filepath.Glob("kernel/patches/*.patch")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no patches in guest-image/kernel/patches: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		why, change, found := strings.Cut(string(text), "\n--- a/")
		if !found || !strings.Contains(change, "\n+++ b/") {
			t.Errorf("%s changes no file in the form that patch --strip=1 takes", path)
		}
		if subject, reason, _ := strings.Cut(why, "\n\n"); len(subject) > 72 || len(reason) < 100 {
			t.Errorf("%s says %q before its change: one line of what it does, then why", path, why)
		}
	}
}
