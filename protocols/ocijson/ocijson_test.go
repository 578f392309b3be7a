// SPDX-License-Identifier: Apache-2.0

package ocijson

import (
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestThereAndBack(t *testing.T) {
	umask := uint32(0o27)
	in := &specs.Process{Args: []string{"sh", "-c", "<&>\u2028"}, User: specs.User{Umask: &umask}, Scheduler: &specs.Scheduler{Policy: specs.SchedBatch}}
	data, err := Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Decode[specs.Process](data)
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("got %+v, error %v", out, err)
	}
}

func TestWhatIsNoPart(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           "",
		"null":              "null",
		"two":               "{}{}",
		"something behind":  "{} x",
		"another type":      `[]`,
		"a field too many":  `{"args":["sh"],"colour":"red"}`,
		"a number too long": `{"oomScoreAdj":1e99}`,
		"too long":          `{"cwd":"` + strings.Repeat("x", MaxBytes) + `"}`,
		"too deep":          strings.Repeat(`{"user":`, 20000),
	} {
		if out, err := Decode[specs.Process]([]byte(text)); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: got %v, error %v", name, out, err)
		}
	}
	if _, err := Encode(&specs.Process{Cwd: strings.Repeat("x", MaxBytes)}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("too long to send: error %v", err)
	}
}
