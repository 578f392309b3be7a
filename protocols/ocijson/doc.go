// SPDX-License-Identifier: Apache-2.0

// Package ocijson carries parts of the OCI runtime specification as the JSON
// that the specification defines, so that a field reaches the OCI runtime in the
// guest without a field of the agent's protocol for it.
//
// An agent that lists [Feature] among its extra_features takes JSON in oci_json
// of CreateContainer, process_json of ExecProcess and resources_json of
// UpdateContainer, in the place of OCI, process and resources, which are absent
// then. What the JSON says is the guest's form: paths are the guest's. An agent
// without the feature gets the protocol's own messages, and what these lack is
// refused by the host.
package ocijson
