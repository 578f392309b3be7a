// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"errors"
	"testing"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// FuzzReadParams reads what containerd of either dialect, or anybody else, writes
// to the start action. Whatever it is gives parameters or an error of a known
// class, and a socket address or an error; what is not addressed to this shim is
// never taken for bootstrap parameters.
func FuzzReadParams(f *testing.F) {
	inv := Invocation{ID: "c", Namespace: "ns", Address: "/cli.sock"}
	encode := func(m proto.Message) []byte {
		out, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return out
	}
	dir := "/s"
	options := &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: encode(&runtimeoptions.Options{ConfigPath: "/x.toml"})}
	broken := &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: []byte{0xff}}
	for _, seed := range [][]byte{
		{}, {0x0a, 0x01, 'c'}, {0xff, 0xff}, encode(options), encode(broken), encode(&anypb.Any{TypeUrl: "containerd.runc.v1.Options"}),
		encode(&bootapi.BootstrapParams{InstanceID: "c", Namespace: "ns", SocketDir: &dir, Extensions: []*bootapi.Extension{{Value: options}}}),
		encode(&bootapi.BootstrapParams{InstanceID: "c", Namespace: "ns", Extensions: []*bootapi.Extension{nil, {Value: broken}}}),
		encode(&bootapi.BootstrapParams{InstanceID: "other", Namespace: "ns"}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		p, err := ReadParams(bytes.NewReader(stdin), inv)
		if err != nil {
			if errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		var boot bootapi.BootstrapParams
		addressed := proto.Unmarshal(stdin, &boot) == nil && boot.InstanceID == inv.ID && boot.Namespace == inv.Namespace
		if (p.Dialect == Protobuf) != addressed {
			t.Errorf("parameters %+v from %v", p, &boot)
		}
		if p.Dialect == Legacy && p.GRPCAddress != inv.Address {
			t.Errorf("options changed containerd's address to %q", p.GRPCAddress)
		}
		address, err := socketAddress(p, inv.Namespace, inv.ID)
		if err != nil && errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
			t.Errorf("an error without a class: %v", err)
		}
		if again, _ := socketAddress(p, inv.Namespace, inv.ID); again != address {
			t.Errorf("the addresses %s and %s", address, again)
		}
	})
}
