// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"io"
	"os"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/errdefs"
)

// RuntimeName is the name under which users ask for this runtime.
const RuntimeName = "io.containerd.kata.v2"

// Shim is the binary as pkg/shim sees it. Version is that of the build; Cleanup
// does the delete action's work.
type Shim struct {
	Version string
	Cleanup CleanupFunc
}

var _ shim.Shim = Shim{}

// Name implements shim.Shim.
func (Shim) Name() string { return RuntimeName }

// Start is never reached: [Start] answers before pkg/shim gets the command line,
// since pkg/shim knows the newer dialect only.
func (Shim) Start(context.Context, *bootapi.BootstrapParams) (*bootapi.BootstrapResult, error) {
	return nil, fmt.Errorf("the start action is answered elsewhere: %w", errdefs.ErrNotImplemented)
}

// Stop implements shim.Shim; it answers the delete action.
func (s Shim) Stop(ctx context.Context, id string) (shim.StopStatus, error) {
	dir, _ := ctx.Value(shim.OptsKey{}).(shim.Opts)
	if dir.BundlePath == "" {
		cwd, err := os.Getwd()
		if err != nil {
			return shim.StopStatus{}, fmt.Errorf("find the bundle: %w", err)
		}
		dir.BundlePath = cwd
	}
	return Delete(ctx, dir.BundlePath, id, s.Cleanup)
}

// Info implements shim.Shim.
func (s Shim) Info(_ context.Context, stdin io.Reader) (*types.RuntimeInfo, error) {
	return Info(stdin, s.Version)
}
