// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
)

func TestJSONTakesThePlaceOfTheMessage(t *testing.T) {
	wire := &agentpb.Spec{Root: &agentpb.Root{Path: "/wire"}, Process: &agentpb.Process{Args: []string{"wire"}}}
	spec, err := Container(wire, []byte(`{"ociVersion":"1.3.0","root":{"path":"/json"},"process":{"args":["json"],"cwd":"/","user":{"uid":0,"gid":0,"umask":23}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if spec.Root.Path != "/json" || *spec.Process.User.Umask != 23 || *spec.Process.OOMScoreAdj != 0 || spec.Linux == nil {
		t.Errorf("got %+v with process %+v", spec, spec.Process)
	}
	p, err := Process(nil, []byte(`{"args":["x"],"oomScoreAdj":-3}`))
	if err != nil || *p.OOMScoreAdj != -3 {
		t.Errorf("got %+v, error %v", p, err)
	}
	if p, err := Process(nil, []byte(`{"args":["x"]}`)); err != nil || p.OOMScoreAdj != nil {
		t.Errorf("a process without an oom_score_adj, which has its container's: %+v, error %v", p, err)
	}
	r, err := Resources(nil, []byte(`{"cpu":{"burst":5000},"unified":{"memory.high":"1"}}`))
	if err != nil || r.Unified["cpu.max.burst"] != "5000" || r.Unified["memory.high"] != "1" {
		t.Errorf("got %+v, error %v", r, err)
	}
}

func TestRefusedJSON(t *testing.T) {
	for name, text := range map[string]string{
		"no object":      `7`,
		"no process":     `{"root":{"path":"/r"}}`,
		"no arguments":   `{"root":{"path":"/r"},"process":{}}`,
		"no root":        `{"process":{"args":["x"]}}`,
		"no root path":   `{"root":{},"process":{"args":["x"]}}`,
		"another system": `{"root":{"path":"/r"},"process":{"args":["x"]},"windows":{"layerFolders":[]}}`,
		"unknown field":  `{"root":{"path":"/r"},"process":{"args":["x"]},"linux":{"colour":"red"}}`,
	} {
		if spec, err := Container(nil, []byte(text)); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: got %v, error %v", name, spec, err)
		}
	}
	if p, err := Process(nil, []byte(`{"args":[]}`)); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a process without arguments is %v, error %v", p, err)
	}
	if r, err := Resources(nil, []byte(`[]`)); !errdefs.IsInvalidArgument(err) {
		t.Errorf("limits are %v, error %v", r, err)
	}
}

func TestWhatCrunNeedsOtherwise(t *testing.T) {
	spec, err := Container(nil, []byte(`{"root":{"path":"/r"},"process":{"args":["x"]},"linux":{"resources":{"cpu":{"burst":1000}},
		"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":38,"syscalls":[
			{"names":["a"],"action":"SCMP_ACT_ALLOW","errnoRet":1},{"names":["b"],"action":"SCMP_ACT_ERRNO","errnoRet":9}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Guest{CgroupsPath: "/c"}).Apply(spec); err != nil {
		t.Fatal(err)
	}
	if got := spec.Linux.Resources.Unified["cpu.max.burst"]; got != "1000" {
		t.Errorf("unified is %v", spec.Linux.Resources.Unified)
	}
	profile := spec.Linux.Seccomp
	if profile.DefaultErrnoRet != nil || profile.Syscalls[0].ErrnoRet != nil || *profile.Syscalls[1].ErrnoRet != 9 {
		t.Errorf("the profile is %+v", profile)
	}
}
