// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/storage"
)

// step writes its fields of the guest's form, or says why it cannot. Steps are
// pure and do not read what other steps wrote.
type step func(in, out *specs.Spec, e Env) error

// steps turn a spec into the guest's form, in this order. The refusals come
// first: what cannot be honoured is said before anything else is looked at.
func steps() []step {
	return []step{
		refuse, general, process, root, mounts, hooks, linux, namespaces, devices,
		resources, seccomp, annotations,
	}
}

// ToGuest returns the guest's form of a container's spec. It never changes in,
// of which the result shares what is the same in both: change neither.
// A field that cannot be honoured is errdefs.ErrNotImplemented and named with
// its path; a spec that is wrong in itself is errdefs.ErrInvalidArgument.
func ToGuest(in *specs.Spec, e Env) (*specs.Spec, error) {
	if in == nil || in.Process == nil || in.Linux == nil {
		return nil, fmt.Errorf("OCI spec of container %s: it has no process or no linux section: %w", e.ContainerID, errdefs.ErrInvalidArgument)
	}
	out := &specs.Spec{Linux: &specs.Linux{}}
	for _, do := range steps() {
		if err := do(in, out, e); err != nil {
			return nil, fmt.Errorf("OCI spec of container %s: %w", e.ContainerID, err)
		}
	}
	return out, nil
}

// general copies what needs no thought.
func general(in, out *specs.Spec, _ Env) error {
	out.Version = in.Version
	out.Hostname, out.Domainname = in.Hostname, in.Domainname
	return nil
}

// root names the root file system's place in the guest.
func root(in, out *specs.Spec, e Env) error {
	out.Root = &specs.Root{Path: e.RootPath}
	if in.Root != nil {
		out.Root.Readonly = in.Root.Readonly
	}
	return nil
}

// mounts takes the storage plan's.
func mounts(_, out *specs.Spec, e Env) error {
	for _, m := range e.Mounts {
		out.Mounts = append(out.Mounts, specs.Mount{
			Destination: m.Destination, Source: m.Source, Type: m.Type, Options: options(m),
			UIDMappings: m.IDMap.UIDs, GIDMappings: m.IDMap.GIDs,
		})
	}
	return nil
}

// options say whether mapped ids are for the mounts below as well.
func options(m storage.GuestMount) []string {
	switch {
	case m.IDMap.IsZero():
		return m.Options
	case m.IDMap.Recursive:
		return append(slices.Clone(m.Options), "ridmap")
	}
	return append(slices.Clone(m.Options), "idmap")
}

// Annotations that hold host paths, or settings of this runtime on the host.
const (
	annotationConfig = "io.katacontainers.config"
	annotationBundle = "io.katacontainers.pkg.oci.bundle_path"
	annotationLogDir = "io.kubernetes.cri.sandbox-log-directory"
	annotationCRIO   = "io.kubernetes.cri-o."
	annotationNerd   = "nerdctl/"
)

// annotations go along, since tools in the guest may read them, but for those
// about the host.
func annotations(in, out *specs.Spec, _ Env) error {
	out.Annotations = maps.Clone(in.Annotations)
	maps.DeleteFunc(out.Annotations, func(key, value string) bool {
		// A path that somebody else wrote down is most likely the host's as well.
		return strings.HasPrefix(value, "/") || strings.HasPrefix(key, annotationNerd) || strings.HasPrefix(key, annotationConfig) || strings.HasPrefix(key, annotationCRIO) ||
			key == annotationBundle || key == annotationLogDir
	})
	return nil
}
