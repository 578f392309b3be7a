// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestShorten(t *testing.T) {
	long := "run crun: " + strings.Repeat("\xff\n", 100<<10) + ": no such file"
	got := errgrpc.ToNative(Shorten(status.Error(codes.NotFound, long)))
	text := got.Error()
	if !errdefs.IsNotFound(got) || len(text) > 3*MaxText || !strings.HasPrefix(text, "run crun: ") || !strings.HasSuffix(text, ": no such file") {
		t.Errorf("%d bytes became %d: %.40q", len(long), len(text), text)
	}
	if got := Shorten(status.Error(codes.Unknown, "short")); status.Convert(got).Message() != "short" {
		t.Errorf("a short text became %v", got)
	}
	if Shorten(nil) != nil || !errors.Is(Shorten(io.EOF), io.EOF) {
		t.Error("what no agent said was changed")
	}
}
