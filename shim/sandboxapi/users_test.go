// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/encoding/protowire"
)

// userns writes a PodSandboxConfig whose linux.security_context.namespace_options
// have userns_options with this mode and an IDMapping of users and of groups
// that begins at first.
func userns(mode, first uint64) []byte {
	number := func(b []byte, n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
	}
	message := func(b []byte, n protowire.Number, inner []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), inner)
	}
	ids := number(number(number(nil, 1, 100000), 2, first), 3, 65536)
	options := message(message(number(nil, 1, mode), 2, ids), 3, ids)
	return message(nil, 8, message(nil, 2, message(nil, 1, message(nil, 5, options))))
}

func TestUserNamespacesOfPods(t *testing.T) {
	for _, c := range []struct {
		name        string
		mode, first uint64
		refused     string
		ping        bool
	}{
		{name: "the pod's"},
		{name: "the node's", mode: 2, ping: true},
		{name: "the node's, with ids that nobody reads", mode: 2, first: 1, ping: true},
		{name: "root is nobody", first: 1, refused: "uidMappings"},
		{name: "the container's", mode: 1, refused: "mode 1"},
		{name: "another container's", mode: 3, refused: "mode 3"},
	} {
		got, err := decodeConfig(userns(c.mode, c.first))
		if c.refused != "" {
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: error %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, ping := got.sysctls["net.ipv4.ping_group_range"]; ping != c.ping || got.sysctls["net.ipv4.ip_unprivileged_port_start"] != "0" {
			t.Errorf("%s: sysctls are %v", c.name, got.sysctls)
		}
	}
}

func TestPodsOwnSysctlsStay(t *testing.T) {
	c := podConfig{sysctls: map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"}}
	c.openNetwork(false)
	if c.sysctls["net.ipv4.ip_unprivileged_port_start"] != "80" {
		t.Errorf("sysctls are %v", c.sysctls)
	}
}
