// SPDX-License-Identifier: Apache-2.0

package guestimage

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	maxImageBytes = 25_000_000
	// pmemAlign is what a VMM wants of the file behind a virtio-pmem device.
	pmemAlign = 2 << 20
)

func TestImageIsSmallAndMappable(t *testing.T) {
	path := artefact(t, "katapod.img")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %.1f MB", path, float64(info.Size())/1e6)
	if info.Size() >= maxImageBytes {
		t.Errorf("%s has %d bytes, want less than %d: see what grew with du on the cached tree", path, info.Size(), maxImageBytes)
	}
	if info.Size()%pmemAlign != 0 {
		t.Errorf("%s has %d bytes, want a multiple of %d", path, info.Size(), pmemAlign)
	}
}

func TestManifestNamesEveryPackageAndTheAgent(t *testing.T) {
	text, err := os.ReadFile(artefact(t, "manifest.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || len(fields[2]) != 64 {
			t.Errorf("manifest line %q, want name, version and SHA-256", line)
			continue
		}
		names[fields[0]] = true
	}
	lock, err := os.ReadFile("packages.lock")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(lock) + "kata-agent\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "#" && !names[name] {
			t.Errorf("the manifest lacks %s", name)
		}
	}
}

// The second build has another checkout, an empty cache and another umask, so
// that nothing of the first, or of this machine's habits, helps it to be equal.
func TestSameInputsGiveTheSameBytes(t *testing.T) {
	needTool(t, "mkfs.erofs")
	init := buildTestInit(t)
	copied := filepath.Join(t.TempDir(), "elsewhere", "guest-image")
	if err := os.CopyFS(copied, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), "build")
	script := "#!/bin/bash\numask 077\nexec " + filepath.Join(copied, "build-image") + ` "$@"` + "\n"
	if err := os.WriteFile(wrapper, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	freshCache := []string{"KATAPOD_CACHE=" + t.TempDir()}
	for _, kind := range []struct{ file, flag string }{{"katapod.img", ""}, {"katapod-initrd.cpio.zst", "--initrd"}} {
		var flags []string
		if kind.flag != "" {
			flags = append(flags, kind.flag)
		}
		flags = append(flags, init)
		first := readFile(t, filepath.Join(buildImage(t, "./build-image", nil, flags...), kind.file))
		second := readFile(t, filepath.Join(buildImage(t, wrapper, freshCache, flags...), kind.file))
		if !bytes.Equal(first, second) {
			t.Errorf("two builds of %s differ (%d and %d bytes)", kind.file, len(first), len(second))
		}
	}
}

func TestBuildImageRefusesWhatCannotBeInit(t *testing.T) {
	notELF := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(notELF, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"missing", "there is no agent at", []string{"/nonexistent/agent"}},
		{"script", "not an ELF program", []string{notELF}},
		{"dynamic", "needs shared libraries", []string{"/bin/ls"}},
		{"unknown flag", "unknown argument", []string{"--frob"}},
		{"modules without initrd", "--modules goes with --initrd", []string{"--modules", "/lib/modules/1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command("./build-image", test.args...)
			cmd.Env = append(os.Environ(), "KATAPOD_OUT="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("build-image %v: %v, %q; want a failure with %q", test.args, err, out, test.want)
			}
		})
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
