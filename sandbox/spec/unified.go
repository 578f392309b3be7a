// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
)

// unified returns the files of cgroup v2 that a spec names itself, as far as the
// guest has what they are about: no swap, and CPUs and nodes as in [cpu]. A file
// with numbers of the host's devices is refused.
func unified(in map[string]string, vcpus int) (map[string]string, error) {
	out := make(map[string]string, len(in))
	for name, text := range in {
		if name == "" || strings.Contains(name, "/") {
			return nil, fmt.Errorf("linux.resources.unified: %q is not the name of a file of a cgroup: %w", name, errdefs.ErrInvalidArgument)
		}
		if err := first([]refusal{
			{"linux.resources.unified: " + name, strings.HasPrefix(name, "io.") && strings.Contains(text, ":"), noHostNumbers},
		}); err != nil {
			return nil, err
		}
		if fitsGuest(name, text, vcpus) {
			out[name] = text
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// fitsGuest tells whether the guest has what a file of cgroup v2 is about.
func fitsGuest(name, text string, vcpus int) bool {
	switch name {
	case "cpuset.cpus":
		return fits(text, vcpus)
	case "cpuset.mems":
		return fits(text, guestNodesOfMemory)
	}
	return !strings.HasPrefix(name, "memory.swap.")
}
