// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFirstFile(t *testing.T) {
	dir := t.TempDir()
	missing, present := filepath.Join(dir, "missing"), filepath.Join(dir, "present")
	if err := os.WriteFile(present, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := firstFile([]string{missing, present}); got != present {
		t.Errorf("firstFile = %s, want the one that exists, %s", got, present)
	}
	if got := firstFile([]string{missing, missing + "2"}); got != missing {
		t.Errorf("firstFile = %s, want the first of those that do not exist, %s", got, missing)
	}
}

func TestVirtiofsdIsLookedForWhenNotNamed(t *testing.T) {
	if got := Default().Hypervisor.Virtiofsd(); !slices.Contains(usualVirtiofsd(), got) {
		t.Errorf("Virtiofsd() = %q, want one of %v", got, usualVirtiofsd())
	}
	named := Hypervisor{VirtioFSDaemon: "/opt/virtiofsd"}
	if got := named.Virtiofsd(); got != "/opt/virtiofsd" {
		t.Errorf("Virtiofsd() = %q, want the one that is named", got)
	}
}
