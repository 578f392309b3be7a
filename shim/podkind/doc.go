// SPDX-License-Identifier: Apache-2.0

// Package podkind tells what a container is to its pod, by the annotations that
// the engines put in the OCI spec.
package podkind
