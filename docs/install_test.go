// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/katapod/katapod/sandbox/config"
)

func readPage(t *testing.T, page string) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// tomlFence matches a fenced block of TOML.
var tomlFence = regexp.MustCompile("(?ms)^```toml\n(.*?)^```$")

func TestTOMLOfThePagesIsValid(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, page := range pages {
		for _, m := range tomlFence.FindAllStringSubmatch(readPage(t, page), -1) {
			seen++
			var raw map[string]any
			if err := toml.Unmarshal([]byte(m[1]), &raw); err != nil {
				t.Errorf("%s: %v in\n%s", page, err, m[1])
			}
		}
	}
	if seen < 2 {
		t.Fatalf("the pages have only %d blocks of TOML", seen)
	}
}

// TestRuntimeOfContainerd: the page's runtime is the one that the tests of package
// integration run with, apart from the snapshotter, which is a choice.
func TestRuntimeOfContainerd(t *testing.T) {
	m := tomlFence.FindStringSubmatch(readPage(t, "install.md"))
	if m == nil {
		t.Fatal("install.md has no block of TOML")
	}
	var page struct {
		Plugins map[string]struct {
			Containerd struct {
				Runtimes map[string]map[string]any
			}
		}
	}
	if err := toml.Unmarshal([]byte(m[1]), &page); err != nil {
		t.Fatal(err)
	}
	runtime := page.Plugins["io.containerd.cri.v1.runtime"].Containerd.Runtimes["kata"]
	node := readPage(t, "../integration/node/containerd.toml.tmpl")
	for _, line := range strings.Split(m[1], "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "[") && !strings.HasPrefix(line, "ConfigPath") && !strings.Contains(node, line) {
			t.Errorf("install.md has %q, which the node of package integration has not", line)
		}
	}
	if runtime["runtime_type"] != "io.containerd.kata.v2" {
		t.Errorf("the runtime is %v", runtime)
	}
	options, _ := runtime["options"].(map[string]any)
	if options["ConfigPath"] != "/etc/kata-containers/configuration.toml" {
		t.Errorf("the options are %v", options)
	}
}

// TestMakeInstallPutsWhatThePageSays asks make what it would do.
func TestMakeInstallPutsWhatThePageSays(t *testing.T) {
	const destination = "/destination"
	out, err := exec.Command("make", "-C", "..", "--no-print-directory", "-n", "install", "DESTDIR="+destination).CombinedOutput()
	if err != nil {
		t.Fatalf("make -n install: %v\n%s", err, out)
	}
	installed := installedBy(string(out))
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ").FindAllStringSubmatch(readPage(t, "install.md"), -1)
	var named []string
	for _, r := range rows {
		named = append(named, destination+strings.Replace(r[1], "$PREFIX", "/usr/local", 1))
	}
	slices.Sort(named)
	if !slices.Equal(named, installed) {
		t.Errorf("install.md names %q, make installs %q", named, installed)
	}
	for _, path := range []string{config.Default().Hypervisor.Kernel, config.Default().Hypervisor.Image} {
		if !slices.Contains(installed, destination+path) {
			t.Errorf("the configuration names %s, which is not installed", path)
		}
	}
}

// installedBy are the files that install(1) would make, sorted.
func installedBy(commands string) []string {
	var files []string
	for line := range strings.Lines(commands) {
		words := strings.Fields(line)
		switch {
		case len(words) < 4 || words[0] != "install":
			continue
		case words[2] == "-t":
			for _, file := range words[4:] {
				files = append(files, filepath.Join(words[3], filepath.Base(file)))
			}
		default:
			files = append(files, words[len(words)-1])
		}
	}
	slices.Sort(files)
	return files
}

func TestSubcommandsOfKataCtl(t *testing.T) {
	out, err := exec.Command("go", "run", "../cmd/kata-ctl", "help").CombinedOutput()
	if err != nil {
		t.Fatalf("kata-ctl help: %v\n%s", err, out)
	}
	var has []string
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z-]+) `).FindAllStringSubmatch(string(out), -1) {
		has = append(has, m[1])
	}
	page := readPage(t, "install.md")
	row := regexp.MustCompile("(?m)^\\| `\\$PREFIX/bin/kata-ctl` \\| (.*) \\|$").FindStringSubmatch(page)
	if row == nil {
		t.Fatal("install.md has no row about kata-ctl")
	}
	var named []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
		named = append(named, m[1])
	}
	slices.Sort(has)
	slices.Sort(named)
	if !slices.Equal(named, has) {
		t.Errorf("install.md names %q, kata-ctl has %q", named, has)
	}
	for _, m := range regexp.MustCompile(`kata-ctl ([a-z]+)`).FindAllStringSubmatch(page, -1) {
		if !slices.Contains(has, m[1]) {
			t.Errorf("install.md says kata-ctl %s, which is not there", m[1])
		}
	}
}

// TestShellBlocksOfInstall: every line is a command that exists; make's targets
// are held against its help by another test, kata-ctl's by the one above.
func TestShellBlocksOfInstall(t *testing.T) {
	for page, block := range shellBlocks(t) {
		if page != "install.md" {
			continue
		}
		for line := range strings.Lines(block) {
			words := strings.Fields(line)
			if len(words) > 0 && words[0] != "make" && words[0] != "kata-ctl" {
				t.Errorf("install.md runs %q, which no test knows", strings.TrimSpace(line))
			}
		}
	}
}
