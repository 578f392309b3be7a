// SPDX-License-Identifier: Apache-2.0

// Package pod holds the one sandbox that a shim has, and makes it from what an
// engine says: an OCI spec, or the configuration of the Sandbox API.
//
// Its interfaces are what the Task and the Sandbox service need of package
// sandbox; [Real] gives them the real one.
//
//	none --Begin--> starting --started--> present --End--> ended
//	                starting --failed--> none
//
// A pod that failed to start leaves room for another try.
package pod
