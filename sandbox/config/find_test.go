// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, o, v, etc, usr := file("a"), file("o"), file("v"), file("etc"), file("usr")
	absent := filepath.Join(dir, "absent")
	for _, c := range []struct {
		annotation, option, variable string
		places                       []string
		want                         string
		says                         []string
	}{
		{a, o, v, []string{etc, usr}, a, nil},
		{"", o, v, []string{etc, usr}, o, nil},
		{"", "", v, []string{etc, usr}, v, nil},
		{"", "", "", []string{etc, usr}, etc, nil},
		{"", "", "", []string{absent, usr}, usr, nil},
		{"", "", "", []string{absent, absent + "2"}, "", []string{absent, absent + "2", PathAnnotation, PathVariable, "ConfigPath"}},
		{absent, o, v, []string{etc}, "", []string{absent, "annotation " + PathAnnotation}},
		{"", absent, v, []string{etc}, "", []string{absent, "ConfigPath"}},
		{"", "", absent, []string{etc}, "", []string{absent, PathVariable}},
	} {
		got, err := find(c.annotation, c.option, c.variable, c.places)
		if got != c.want || (err != nil) != (c.says != nil) {
			t.Errorf("%+v: got %q, error %v", c, got, err)
			continue
		}
		if err != nil && !errdefs.IsNotFound(err) {
			t.Errorf("%+v: error %v is of another kind", c, err)
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: error %q does not say %q", c, err, part)
			}
		}
	}
	if _, err := find(dir, "", "", nil); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a directory: error %v", err)
	}
	if _, err := find("", "", "", []string{dir}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a directory at a well-known place: error %v", err)
	}
}

func TestFindReadsTheVariable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(PathVariable, path)
	if got, err := Find("", ""); got != path || err != nil {
		t.Errorf("got %q, error %v", got, err)
	}
}
