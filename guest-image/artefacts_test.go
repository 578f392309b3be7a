// SPDX-License-Identifier: Apache-2.0

package guestimage

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// artefact is the path of a file that build-kernel or build-image makes. The
// kernel takes minutes to build, so that a test asks for it rather than making
// it.
func artefact(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "out", "guest", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("this test needs %s (%v): run make guest first", path, err)
	}
	return path
}

// needTool skips where a program is not installed and this test may not
// install it.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("skipped: %s is not installed (make packages installs it)", name)
	}
}

// buildTestInit compiles testdata/init, the stand-in for the agent.
func buildTestInit(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./testdata/init")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot compile testdata/init: %v\n%s", err, out)
	}
	return path
}

// buildImage runs the script at script into a folder of its own, which it
// returns. The environment entries are added to this process's.
func buildImage(t *testing.T, script string, env []string, args ...string) string {
	t.Helper()
	out := t.TempDir()
	cmd := exec.Command(script, args...)
	cmd.Env = append(append(os.Environ(), "KATAPOD_OUT="+out), env...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", script, args, err, &text)
	}
	return out
}
