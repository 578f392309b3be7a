// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// tellApart gives a seccomp profile a rule that does nothing but name it. crun
// keeps the filters that it made, for the next container with the same profile,
// and takes profiles for the same that are not: it does not look at the error
// numbers of rules, nor at where one name ends and the next begins (1.8 to 1.21).
// A container would run under the filter of another. The rule is for a system
// call that no kernel has, which crun passes over, with a checksum as its name.
func tellApart(s *specs.LinuxSeccomp) error {
	if s == nil {
		return nil
	}
	whole, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("tell a seccomp profile from others: %w", err)
	}
	name := fmt.Sprintf("katapod_profile_%x", sha256.Sum256(whole))
	s.Syscalls = append(s.Syscalls[:len(s.Syscalls):len(s.Syscalls)],
		specs.LinuxSyscall{Names: []string{name}, Action: specs.ActAllow})
	return nil
}
