// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"fmt"
	"maps"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/katapod/katapod/sandbox/spec"
)

// usernsOptions is the number of userns_options in the CRI's NamespaceOption.
const usernsOptions = 5

// checkUsers refuses user namespaces that no container of the pod could have.
// The containers' own specs say which ids they map; containerd sees to it that
// these are the pod's.
func checkUsers(namespaces fields) error {
	if len(namespaces[usernsOptions]) == 0 {
		return nil
	}
	users, err := namespaces.message(usernsOptions)
	if err != nil {
		return err
	}
	switch mode := users.integer(1); mode {
	case modeNode:
		return nil
	case modePod:
	default:
		return fmt.Errorf("the user namespace of a pod can be the pod's or the node's, not that of mode %d: %w", mode, errdefs.ErrInvalidArgument)
	}
	l := &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.UserNamespace}}}
	if l.UIDMappings, err = users.ids(2); err != nil {
		return err
	}
	if l.GIDMappings, err = users.ids(3); err != nil {
		return err
	}
	return spec.CheckUserNamespace(l)
}

// hasUsers tells whether the pod has a user namespace.
func hasUsers(namespaces fields) bool {
	users, err := namespaces.message(usernsOptions)
	return err == nil && len(namespaces[usernsOptions]) > 0 && users.integer(1) == modePod
}

// openNetwork sets what containerd sets for a pod that it makes itself, unless its
// configuration says otherwise (enable_unprivileged_ports,
// enable_unprivileged_icmp), which it does not tell the shim.
func (c *podConfig) openNetwork(users bool) {
	defaults := map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
	if !users {
		defaults["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	maps.Copy(defaults, c.sysctls)
	c.sysctls = defaults
}

// ids is a repeated IDMapping.
func (f fields) ids(n protowire.Number) ([]specs.LinuxIDMapping, error) {
	var out []specs.LinuxIDMapping
	for _, each := range f[n] {
		m, err := parse(each.bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, specs.LinuxIDMapping{HostID: uint32(m.integer(1)), ContainerID: uint32(m.integer(2)), Size: uint32(m.integer(3))})
	}
	return out, nil
}
