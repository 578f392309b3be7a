// SPDX-License-Identifier: Apache-2.0

package unread

import (
	"context"

	"github.com/containerd/ttrpc"
)

// key is the name of the metadata. Its value does not matter.
const key = "katapod-unread"

// Mark returns a context for calls whose answers the caller does not read. What ctx
// has of metadata otherwise is kept.
func Mark(ctx context.Context) context.Context {
	md := ttrpc.MD{}
	if before, ok := ttrpc.GetMetadata(ctx); ok {
		for name, values := range before {
			md[name] = values
		}
	}
	md.Set(key, "yes")
	return ttrpc.WithMetadata(ctx, md)
}

// Marked tells, of the context of a call that is served, whether its caller does not
// read the answer. The call has to be done all the same.
func Marked(ctx context.Context) bool {
	_, marked := ttrpc.GetMetadataValue(ctx, key)
	return marked
}
