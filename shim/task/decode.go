// SPDX-License-Identifier: Apache-2.0

package task

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// empty is what methods without an answer answer.
type empty = emptypb.Empty

// decode reads a type of the OCI runtime specification that containerd sent.
// Such types travel as JSON under a type URL that ends in "/" and their name
// (containerd, core/runtime/typeurl.go).
func decode[T any](a *anypb.Any, name string) (*T, error) {
	if a == nil {
		return nil, fmt.Errorf("the request lacks a %s of the OCI runtime specification: %w", name, errdefs.ErrInvalidArgument)
	}
	if !strings.HasSuffix(a.TypeUrl, "/"+name) {
		return nil, fmt.Errorf("the request holds %q in the place of a %s of the OCI runtime specification: %w", a.TypeUrl, name, errdefs.ErrInvalidArgument)
	}
	v := new(T)
	if err := json.Unmarshal(a.Value, v); err != nil {
		return nil, fmt.Errorf("the %s in the request is not valid: %w: %w", name, errdefs.ErrInvalidArgument, err)
	}
	return v, nil
}
