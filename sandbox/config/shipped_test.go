// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// shipped reads the file that `make install` installs.
func shipped(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("configuration.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sleeping is a default: a key with its value, behind "# ".
var sleeping = regexp.MustCompile(`(?m)^# ([a-z0-9_]+ = .*)$`)

// awake is the shipped file with all its defaults set.
func awake(t *testing.T) string {
	t.Helper()
	return sleeping.ReplaceAllString(shipped(t), "$1")
}

func TestShippedFileIsTheDefault(t *testing.T) {
	for name, content := range map[string]string{"as it is": shipped(t), "with every key set": awake(t)} {
		c := load(t, map[string]string{"base.toml": content})
		if len(c.Warnings) != 0 {
			t.Errorf("%s: warnings are %q", name, c.Warnings)
		}
		want := Default()
		want.Path = c.Path
		if got, want := values(c), values(want); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if c.Hypervisor.Name != want.Hypervisor.Name {
			t.Errorf("%s: the hypervisor is %q", name, c.Hypervisor.Name)
		}
	}
}

// Whoever sets one key writes one line: each default alone is a file.
func TestEachDefaultOfTheShippedFileIsADropIn(t *testing.T) {
	section := ""
	for line := range strings.Lines(shipped(t)) {
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if m := sleeping.FindStringSubmatch(line); m != nil {
			c := load(t, map[string]string{"base.toml": shipped(t), "1.toml": section + m[1] + "\n"})
			if len(c.Warnings) != 0 || !maps.Equal(values(c), values(Default())) {
				t.Errorf("%s: warnings are %q, got %v", m[1], c.Warnings, values(c))
			}
		}
	}
}

func TestShippedFileHasEveryKeyOnce(t *testing.T) {
	var raw map[string]any
	if err := toml.Unmarshal([]byte(awake(t)), &raw); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(flatten(raw)))
	if want := slices.Sorted(maps.Keys(values(Default()))); !slices.Equal(got, want) {
		t.Errorf("the file has %q, the code %q", got, want)
	}
	// Only what the host has to have in its place is set.
	raw = nil
	if err := toml.Unmarshal([]byte(shipped(t)), &raw); err != nil {
		t.Fatal(err)
	}
	for key, value := range flatten(raw) {
		if text, ok := value.(string); ok && !strings.HasPrefix(text, "/") {
			t.Errorf("%s = %q is set in the shipped file, though it is no path", key, text)
		}
	}
}

func TestEveryKeyOfTheShippedFileHasAComment(t *testing.T) {
	lines := strings.Split(shipped(t), "\n")
	key := regexp.MustCompile(`^(# )?[a-z0-9_]+ = `)
	for i, line := range lines {
		if key.MatchString(line) && (i == 0 || !strings.HasPrefix(lines[i-1], "# ") || key.MatchString(lines[i-1])) {
			t.Errorf("line %d, %s, has no comment above it", i+1, line)
		}
	}
}

// values are the values of every key, by dotted key, as text.
func values(c Config) map[string]string {
	all := map[string]string{}
	for section, v := range map[string]any{"hypervisor.qemu": c.Hypervisor, "agent.kata": c.Agent, "runtime": c.Runtime, "factory": c.Factory} {
		fields := reflect.ValueOf(v)
		for i := range fields.NumField() {
			if key := fields.Type().Field(i).Tag.Get("toml"); key != "-" {
				all[section+"."+key] = fmt.Sprintf("%q", fmt.Sprint(fields.Field(i).Interface()))
			}
		}
	}
	return all
}
