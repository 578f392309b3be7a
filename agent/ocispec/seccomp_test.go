// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Profiles that crun takes for the same get rules of different names; equal ones get equal names, so that their filter
// is made once.
func TestProfilesAreToldApart(t *testing.T) {
	profile := func(errno uint, names ...string) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: names, Action: specs.ActErrno, ErrnoRet: &errno},
		}}
	}
	marks := map[string]string{}
	for name, p := range map[string]*specs.LinuxSeccomp{
		"one": profile(1, "mkdir", "at"), "the same": profile(1, "mkdir", "at"), "another error": profile(28, "mkdir", "at"),
		"names cut elsewhere": profile(1, "mkdirat"),
		"no error":            {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir", "at"}, Action: specs.ActErrno}}},
		"no rules":            {DefaultAction: specs.ActAllow},
	} {
		spec := &specs.Spec{Linux: &specs.Linux{Seccomp: p}}
		before := len(p.Syscalls)
		if err := suitCrun(spec); err != nil {
			t.Fatal(err)
		}
		rules := spec.Linux.Seccomp.Syscalls
		if len(rules) != before+1 || !strings.HasPrefix(rules[before].Names[0], "katapod_profile_") {
			t.Fatalf("%s: the rules are %+v", name, rules)
		}
		marks[rules[before].Names[0]] += name + ";"
	}
	if len(marks) != 5 {
		t.Errorf("six profiles, of which two are equal, have these names: %v", marks)
	}
	if err := suitCrun(&specs.Spec{Linux: &specs.Linux{}}); err != nil {
		t.Errorf("without a profile: %v", err)
	}
}
