// SPDX-License-Identifier: Apache-2.0

// Package spec turns a container's OCI spec from the host's form to the guest's.
package spec
