// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"encoding/json"
	"testing"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
)

// FuzzRead reads any specification, process and limits, as JSON and as the protocol's
// messages: what is taken can be run and written for crun, the rest is refused as
// invalid.
func FuzzRead(f *testing.F) {
	wire, err := proto.Marshal(&agentpb.Spec{
		Process: &agentpb.Process{Args: []string{"true"}, User: &agentpb.User{UID: 1}}, Root: &agentpb.Root{Path: "/run/x"},
		Linux: &agentpb.Linux{Resources: &agentpb.LinuxResources{CPU: &agentpb.LinuxCPU{Quota: -1}}, Seccomp: &agentpb.LinuxSeccomp{DefaultAction: "SCMP_ACT_ERRNO"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"ociVersion":"1.2.0","process":{"args":["true"],"user":{"uid":1}},"root":{"path":"/run/x"},"linux":{"resources":{"cpu":{"burst":7}}}}`), wire)
	f.Add([]byte(`{"process":{"args":[]},"root":{},"linux":{"seccomp":{"syscalls":[{"names":null,"args":[{}]}]}},"x":1}`), []byte{})
	f.Add([]byte(`null`), []byte("\x12\x00"))
	f.Fuzz(func(t *testing.T, text, wire []byte) {
		var spec agentpb.Spec
		if proto.Unmarshal(wire, &spec) != nil {
			return
		}
		for _, given := range [][]byte{text, nil} {
			out, err := Container(&spec, given)
			usable(t, err, out)
			if err == nil {
				if err := suitCrun(out); err == nil {
					usable(t, nil, out)
				}
			}
			process, err := Process(spec.Process, given)
			usable(t, err, process)
			limits, err := Resources(spec.GetLinux().GetResources(), given)
			usable(t, err, limits)
		}
	})
}

// usable wants a sentinel, or something that can be written.
func usable(t *testing.T, err error, out any) {
	t.Helper()
	if err != nil {
		if !errdefs.IsInvalidArgument(err) {
			t.Fatalf("the error has no sentinel: %v", err)
		}
		return
	}
	if _, err := json.Marshal(out); err != nil {
		t.Fatal(err)
	}
}
