// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"

	"github.com/containerd/cgroups/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/protocols/agentpb"
)

// Mode is the cgroup version whose metrics type is wanted.
type Mode int

// The two versions.
const (
	V1 Mode = 1
	V2 Mode = 2
)

// HostMode is the version that this host's containers use.
func HostMode() Mode {
	if cgroups.Mode() == cgroups.Unified {
		return V2
	}
	return V1
}

// Any is the metrics of a container, typed for the mode. The agent's counters, of
// which nil has none, lack out-of-memory kills; they are counted by its events.
func Any(m Mode, r *agentpb.StatsContainerResponse, oomKills uint64) (*anypb.Any, error) {
	if m == V2 {
		return Typed(v2(r, oomKills))
	}
	return Typed(v1(r, oomKills))
}

// Typed packs a message under the bare name by which containerd knows its types.
func Typed(msg proto.Message) (*anypb.Any, error) {
	name := msg.ProtoReflect().Descriptor().FullName()
	value, err := proto.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return &anypb.Any{TypeUrl: string(name), Value: value}, nil
}

// counters reads the kernel's memory counters by either version's name.
type counters map[string]uint64

// first is the value of the first name that is there, 0 when none is.
func (c counters) first(names ...string) uint64 {
	for _, name := range names {
		if v, found := c[name]; found {
			return v
		}
	}
	return 0
}
