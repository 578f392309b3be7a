// SPDX-License-Identifier: Apache-2.0

package template

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzManifest has a template's manifest be anything: it is refused, or names two
// files of the template's own directory that are as it says.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"key":"k","files":[{"path":"memory","size":1,"sha256":""},{"path":"state","size":1,"sha256":"x"}]}`))
	f.Add([]byte(`{"files":[{"path":"../../etc/passwd"},{"path":"/"}]}`))
	f.Add([]byte(`[]`))
	f.Add([]byte("\x00"))
	dir := f.TempDir()
	for _, name := range []string{memoryFile, stateFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o400); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, manifestFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := readManifest(dir)
		if err != nil {
			return
		}
		if err := m.check(t.Context(), dir, true); err == nil {
			t.Fatalf("a manifest that nobody made was believed: %s", text)
		}
	})
}
