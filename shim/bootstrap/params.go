// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"fmt"
	"io"
	"strings"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxInput bounds what is read from stdin.
const maxInput = 10 << 20

// Dialect is how the other side of stdin and stdout speaks.
type Dialect int

const (
	// Legacy is containerd up to 2.2: options in, an address out.
	Legacy Dialect = iota
	// Protobuf is containerd from 2.3: BootstrapParams in, BootstrapResult out.
	Protobuf
)

// Params is what start was told, whatever the dialect.
type Params struct {
	Dialect Dialect
	// GRPCAddress and TTRPCAddress are containerd's sockets. TTRPCAddress is
	// empty when the environment is to be asked.
	GRPCAddress, TTRPCAddress string
	// SocketDir is where the shim's socket goes; empty means the default.
	SocketDir string
	// ConfigPath is that of the runtime's options, or empty.
	ConfigPath string
	// Debug asks for a talkative log.
	Debug bool
}

// ReadParams reads stdin of the start action. Options of the legacy dialect
// parse as BootstrapParams too, so the message must repeat the command line's
// id and namespace to count as one.
func ReadParams(stdin io.Reader, inv Invocation) (Params, error) {
	input, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	if err != nil {
		return Params{}, fmt.Errorf("read the start parameters from stdin: %w", err)
	}
	legacy := Params{Dialect: Legacy, GRPCAddress: inv.Address, Debug: inv.Debug}
	if len(input) == 0 {
		return legacy, nil
	}
	var boot bootapi.BootstrapParams
	err = proto.Unmarshal(input, &boot)
	if err == nil && boot.InstanceID == inv.ID && boot.Namespace == inv.Namespace {
		return fromBootstrap(&boot, inv)
	}
	var options anypb.Any
	if err := proto.Unmarshal(input, &options); err != nil {
		return Params{}, fmt.Errorf("stdin of the start action holds neither bootstrap parameters nor runtime options: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	if legacy.ConfigPath, err = ConfigPath(&options); err != nil {
		return Params{}, err
	}
	return legacy, nil
}

func fromBootstrap(boot *bootapi.BootstrapParams, inv Invocation) (Params, error) {
	p := Params{
		Dialect:      Protobuf,
		GRPCAddress:  boot.ContainerdGrpcAddress,
		TTRPCAddress: boot.ContainerdTtrpcAddress,
		SocketDir:    boot.GetSocketDir(),
		Debug:        inv.Debug || boot.LogLevel <= bootapi.LogLevel_LOG_LEVEL_DEBUG,
	}
	if p.GRPCAddress == "" {
		p.GRPCAddress = inv.Address
	}
	for _, extension := range boot.Extensions {
		path, err := ConfigPath(extension.GetValue())
		if err != nil {
			return Params{}, err
		}
		if path != "" {
			p.ConfigPath = path
		}
	}
	return p, nil
}

// ConfigPath returns the configuration file that runtime options name, or ""
// when they name none or are of another runtime's type.
func ConfigPath(options *anypb.Any) (string, error) {
	const name = "runtimeoptions.v1.Options"
	if options == nil || !strings.HasSuffix(options.TypeUrl, name) {
		return "", nil
	}
	var o runtimeoptions.Options
	if err := proto.Unmarshal(options.Value, &o); err != nil {
		return "", fmt.Errorf("the runtime options that containerd sent are not a %s message: %w: %w", name, err, errdefs.ErrInvalidArgument)
	}
	return o.ConfigPath, nil
}
