// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"context"
	"fmt"

	"github.com/katapod/katapod/protocols/timeouts"
)

// Probe runs a small loop of privileged guest code through the KVM at device
// and says how it was run. An error means that this could not be tried, for
// instance for want of file descriptors; it says nothing about KVM.
func Probe(ctx context.Context, device string) (Finding, error) {
	limited, cancel := context.WithTimeout(ctx, timeouts.KVMProbe)
	defer cancel()
	m, err := newMachine(device)
	if err != nil {
		return Finding{}, err
	}
	defer m.close()
	if err := m.load(); err != nil {
		return Finding{Unusable, err.Error()}, nil
	}
	before, err := m.emulated()
	if err != nil {
		return Finding{Unusable, err.Error()}, nil
	}
	if err := m.run(limited); err != nil {
		if ctx.Err() != nil {
			return Finding{}, ctx.Err()
		}
		return Finding{Unusable, err.Error()}, nil
	}
	after, err := m.emulated()
	if err != nil {
		return Finding{Unusable, err.Error()}, nil
	}
	return judge(after - before), nil
}

// judge turns the count of emulated instructions into a finding. Hardware needs
// no emulation for this loop; a few are allowed for its first and last
// instruction.
func judge(emulated uint64) Finding {
	const tolerated = 10
	detail := fmt.Sprintf("it emulated %d of %d privileged-mode instructions", emulated, loopInstructions)
	if emulated <= tolerated {
		return Finding{Native, detail}
	}
	return Finding{Interpreted, detail}
}
