// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"

	"github.com/katapod/katapod/hypervisor/virtiofsd"
)

// findingsDir keeps what was found out about the host's programs, until its next
// boot; see package accel as well.
const findingsDir = "/run/katapod"

// userClaims says which users of VMMs pods have, see claimUser.
const userClaims = findingsDir + "/users"

// startVirtiofsd is the real Drivers.StartShare.
func startVirtiofsd(ctx context.Context, c ShareConfig) (ShareDaemon, error) {
	d, err := virtiofsd.Start(ctx, virtiofsd.Config{
		Binary: c.Binary, Socket: c.Socket, SharedDir: c.Dir, Cache: c.Cache, Debug: c.Debug,
		ExtraArgs: c.ExtraArgs, Spawned: c.Spawned, Findings: findingsDir,
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}
