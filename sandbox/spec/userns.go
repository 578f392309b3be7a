// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// CheckUserNamespace refuses a user namespace that no container can run in: the
// processes that prepare it are its root, which has to be somebody. It is
// errdefs.ErrInvalidArgument.
func CheckUserNamespace(l *specs.Linux) error {
	if l == nil || !slices.ContainsFunc(l.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UserNamespace }) {
		return nil
	}
	for _, list := range []struct {
		field string
		ids   []specs.LinuxIDMapping
	}{{"linux.uidMappings", l.UIDMappings}, {"linux.gidMappings", l.GIDMappings}} {
		if !slices.ContainsFunc(list.ids, func(m specs.LinuxIDMapping) bool { return m.ContainerID == 0 && m.Size > 0 }) {
			return fmt.Errorf("%s does not map id 0 of the user namespace; map it: %w", list.field, errdefs.ErrInvalidArgument)
		}
	}
	return nil
}
