// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// makeDeb makes a package of one file in a directory and returns the directory and the package, as Debian would list it.
func makeDeb(t *testing.T) (string, DebianPackage) {
	t.Helper()
	dir, tree := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"DEBIAN/control":   "Package: hello\nVersion: 1.0~a-1+b1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n",
		"usr/bin/greeting": "hello\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (Runner{}).Run(t.Context(), "dpkg-deb", "--build", "--root-owner-group", tree, dir); err != nil {
		t.Fatal(err)
	}
	p := DebianPackage{Name: "hello", Version: "1.0~a-1+b1"}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("dpkg-deb left %v, error %v", debs, err)
	}
	if p.SHA256, err = fileSum(debs[0]); err != nil {
		t.Fatal(err)
	}
	return dir, p
}

func TestDebianPackageIsUnpacked(t *testing.T) {
	dir, p := makeDeb(t)
	tree := filepath.Join(t.TempDir(), "tree")
	if err := p.unpack(t.Context(), dir, tree); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(tree, "usr/bin/greeting")); err != nil || string(text) != "hello\n" {
		t.Errorf("the package's file has %q, error %v", text, err)
	}
}

func TestDebianPackageThatIsAnother(t *testing.T) {
	dir, p := makeDeb(t)
	tree := filepath.Join(t.TempDir(), "tree")
	p.SHA256 = strings.Repeat("0", 64)
	if err := p.unpack(t.Context(), dir, tree); !errdefs.IsDataLoss(err) || !strings.Contains(err.Error(), p.SHA256) {
		t.Errorf("a file with another sum: %v", err)
	}
	if _, err := os.Stat(tree); !os.IsNotExist(err) {
		t.Errorf("a file with another sum was unpacked: %v", err)
	}
	p.Name = "absent"
	if err := p.unpack(t.Context(), dir, tree); !errdefs.IsNotFound(err) {
		t.Errorf("a package that was not downloaded: %v", err)
	}
}

// Where neither the mirror nor the snapshot archive answers, both are named, and nothing half done stays.
func TestDebianCannotBeReached(t *testing.T) {
	t.Setenv("KATAPOD_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
	t.Setenv("http_proxy", "http://127.0.0.1:9")
	cache := t.TempDir()
	d := Debian{Suite: "trixie", Moment: "20251120T000000Z", Packages: []DebianPackage{{Name: "hello", Version: "1"}}}
	_, err := d.Unpack(t.Context(), cache, nil)
	if err == nil || !strings.Contains(err.Error(), "hello 1 of Debian trixie") {
		t.Errorf("error %v", err)
	}
	left, globErr := filepath.Glob(filepath.Join(cache, "debian", "*"))
	if globErr != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, error %v", left, globErr)
	}
}

func TestStandInIsAModule(t *testing.T) {
	dir := t.TempDir()
	goTool := Runner{Dir: dir, Env: recipe{}.environment()}
	if _, err := goTool.Run(t.Context(), "go", "mod", "init", "scratch/x"); err != nil {
		t.Fatal(err)
	}
	if err := nerdctlTestTool().put(t.Context(), goTool); err != nil {
		t.Fatal(err)
	}
	pkg := nerdctlTestTool().module + "/" + nerdctlTestTool().pkg
	program := "package main\n\nimport \"" + pkg + "\"\n\nvar _ tig.T\n\nfunc main() {}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := goTool.Run(t.Context(), "go", "mod", "edit", "-require", nerdctlTestTool().module+"@v0.0.0"); err != nil {
		t.Fatal(err)
	}
	if _, err := goTool.Run(t.Context(), "go", "vet", "."); err != nil {
		t.Error(err)
	}
}
