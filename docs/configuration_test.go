// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/config"
)

const shippedFile = "../sandbox/config/configuration.toml"

// setting is a key of the shipped file.
type setting struct{ section, key, value, meaning string }

// settings reads the shipped file; package config holds it against the code.
func settings(t *testing.T) []setting {
	t.Helper()
	data, err := os.ReadFile(shippedFile)
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`^(?:# )?([a-z0-9_]+) = (.*)$`)
	var all []setting
	var section string
	var comment []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		m := key.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case m != nil:
			all = append(all, setting{section, m[1], m[2], strings.Join(comment, " ")})
			comment = nil
		case strings.HasPrefix(line, "# "):
			comment = append(comment, line[2:])
		default:
			comment = nil
		}
	}
	if len(all) < 30 {
		t.Fatalf("%s has only %d keys: is the pattern still right?", shippedFile, len(all))
	}
	return all
}

func TestKeysOfTheConfiguration(t *testing.T) {
	var text strings.Builder
	section := ""
	var rows [][]string
	flush := func() {
		if len(rows) > 0 {
			fmt.Fprintf(&text, "### [%s]\n\n%s\n", section, table([]string{"Key", "Default", "Meaning"}, rows))
		}
		rows = nil
	}
	for _, s := range settings(t) {
		if s.section != section {
			flush()
			section = s.section
		}
		rows = append(rows, []string{code(s.key), code(s.value), s.meaning})
	}
	flush()
	holds(t, "configuration.md", "keys", text.String())
}

func TestAnnotationsOfAPod(t *testing.T) {
	var rows [][]string
	for _, name := range config.Annotations() {
		changed := keysChangedBy(t, name)
		rows = append(rows, []string{code(name), changed, needs(t, name)})
	}
	holds(t, "configuration.md", "annotations", table([]string{"Annotation", "Sets", "Needs"}, rows))
}

// permissive allows every annotation.
func permissive() config.Config {
	c := config.Default()
	h := &c.Hypervisor
	h.EnableAnnotations, h.ValidPaths, h.ValidVirtioFSDaemonPaths = []string{".*"}, []string{"/*"}, []string{"/*"}
	return c
}

// probes are values of which each annotation takes one that is not the default.
var probes = [...]string{"true", "false", "7", "512", "none", "never", "/probe", "/dev/random", `["--probe"]`, "probe", ""}

// keysChangedBy tries an annotation out.
func keysChangedBy(t *testing.T, name string) string {
	t.Helper()
	quiet := permissive()
	quiet.Runtime.InternetworkingModel = config.NetworkNone // disable_new_netns needs it
	for _, base := range []config.Config{permissive(), quiet} {
		for _, value := range probes {
			next, err := base.WithAnnotations(map[string]string{name: value})
			if err != nil {
				continue
			}
			if keys := differences(base, next); len(keys) > 0 {
				return strings.Join(keys, ", ")
			}
		}
	}
	t.Errorf("annotation %s took no value that was tried; add one to probes", name)
	return ""
}

// differences are the keys in which two configurations differ.
func differences(a, b config.Config) []string {
	var keys []string
	for section, fields := range sections(a) {
		other := sections(b)[section]
		for i := range fields.NumField() {
			if !reflect.DeepEqual(fields.Field(i).Interface(), other.Field(i).Interface()) {
				keys = append(keys, code(fields.Type().Field(i).Tag.Get("toml")))
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func sections(c config.Config) map[string]reflect.Value {
	return map[string]reflect.Value{
		"hypervisor.qemu": reflect.ValueOf(c.Hypervisor),
		"agent.kata":      reflect.ValueOf(c.Agent),
		"runtime":         reflect.ValueOf(c.Runtime),
	}
}

// needs asks the code which keys have to allow an annotation.
func needs(t *testing.T, name string) string {
	t.Helper()
	var keys []string
	strict := permissive()
	strict.Hypervisor.EnableAnnotations = nil
	if refused(strict, name, "enable_annotations") {
		keys = append(keys, code("enable_annotations"))
	}
	strict = permissive()
	h := &strict.Hypervisor
	h.ValidPaths, h.ValidVirtioFSDaemonPaths, h.ValidEntropySources = nil, nil, nil
	for _, list := range []string{"valid_hypervisor_paths", "valid_virtio_fs_daemon_paths", "valid_entropy_sources"} {
		if refused(strict, name, list) {
			keys = append(keys, code(list))
		}
	}
	return strings.Join(keys, ", ")
}

// refused tells whether c refuses an annotation because of a key.
func refused(c config.Config, name, key string) bool {
	_, err := c.WithAnnotations(map[string]string{name: "/probe"})
	return errdefs.IsPermissionDenied(err) && strings.Contains(err.Error(), " to "+key)
}

func TestKeysThatAreRefused(t *testing.T) {
	var rows [][]string
	for _, k := range config.Unbuilt() {
		dot := strings.LastIndex(k.Key, ".")
		accepted := "any value"
		if len(k.Accepted) > 0 {
			accepted = code(strings.Join(k.Accepted, "`, `"))
		}
		rows = append(rows, []string{code("[" + k.Key[:dot] + "]"), code(k.Key[dot+1:]), accepted})
	}
	holds(t, "configuration.md", "unbuilt", table([]string{"Section", "Key", "Accepted"}, rows))
}

func TestPageNamesWhereTheFileIsLookedFor(t *testing.T) {
	page, err := os.ReadFile("configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{config.PathAnnotation, config.PathVariable, "ConfigPath"} {
		if !strings.Contains(string(page), place) {
			t.Errorf("configuration.md does not name %s", place)
		}
	}
	for section := range maps.Keys(sections(config.Default())) {
		if !strings.Contains(string(page), "["+section+"]") {
			t.Errorf("configuration.md does not name the section %s", section)
		}
	}
}

func code(text string) string { return "`" + text + "`" }
