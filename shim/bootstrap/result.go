// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"encoding/json"
	"fmt"
	"io"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
)

// Versions of the shim protocol: the Task API's major version.
const (
	version2 = 2
	version3 = 3
)

// Mount handling that the storage plan takes over from containerd: layers
// arrive as image files and become disks of the VM.
//
// "loop" must be among the types, or containerd sets up the loop device of an
// image by itself.
func mountCapabilities() *types.MountCapabilities {
	return &types.MountCapabilities{
		Types:      []string{"erofs", "ext4", "overlay", "loop"},
		Transforms: []string{"format", "mkfs", "mkdir"},
	}
}

// Result is the answer to start.
type Result struct {
	// Version is the Task API's version, Address the socket's.
	Version int
	Address string
}

// Write puts the result on stdout in the dialect of the question.
//
// A legacy containerd that is told version 2 gets the bare address, which every
// release understands; version 3 needs the JSON form of containerd 2.0.
func (r Result) Write(stdout io.Writer, d Dialect) error {
	answer, err := r.encode(d)
	if err != nil {
		return fmt.Errorf("encode the answer to start: %w", err)
	}
	if _, err := stdout.Write(answer); err != nil {
		return fmt.Errorf("write the answer to start: %w", err)
	}
	return nil
}

func (r Result) encode(d Dialect) ([]byte, error) {
	if d == Protobuf {
		answer := &bootapi.BootstrapResult{Version: int32(r.Version), Address: r.Address, Protocol: "ttrpc"}
		if err := answer.AddExtension(mountCapabilities()); err != nil {
			return nil, err
		}
		return proto.Marshal(answer)
	}
	if r.Version == version2 {
		return []byte(r.Address), nil
	}
	return json.Marshal(struct {
		Version  int    `json:"version"`
		Address  string `json:"address"`
		Protocol string `json:"protocol"`
	}{r.Version, r.Address, "ttrpc"})
}
