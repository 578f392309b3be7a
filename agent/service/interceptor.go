// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Interceptor logs every call without its content, turns errors into gRPC
// statuses, and a panic into an error: a fault in one call must not end the
// guest.
func Interceptor(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (out any, err error) {
	begin := time.Now()
	defer func() {
		if p := recover(); p != nil {
			slog.Error("a call panicked", "call", info.FullMethod, "panic", p, "stack", string(debug.Stack()))
			out, err = nil, fmt.Errorf("the agent failed in %s: %v: %w", info.FullMethod, p, errdefs.ErrInternal)
		}
		logCall(info.FullMethod, time.Since(begin), err)
		err = toStatus(err)
	}()
	return method(ctx, unmarshal)
}

func logCall(name string, took time.Duration, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		slog.Info("a call failed", "call", name, "took", took, "error", err)
		return
	}
	slog.Debug("call", "call", name, "took", took)
}

// toStatus gives an error its gRPC code. The texts cross as they are.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(code(err), err.Error())
}

func code(err error) codes.Code {
	for _, known := range []struct {
		is   error
		code codes.Code
	}{
		{errdefs.ErrInvalidArgument, codes.InvalidArgument},
		{errdefs.ErrNotFound, codes.NotFound},
		{errdefs.ErrAlreadyExists, codes.AlreadyExists},
		{errdefs.ErrPermissionDenied, codes.PermissionDenied},
		{errdefs.ErrResourceExhausted, codes.ResourceExhausted},
		{errdefs.ErrFailedPrecondition, codes.FailedPrecondition},
		{errdefs.ErrNotImplemented, codes.Unimplemented},
		{errdefs.ErrUnavailable, codes.Unavailable},
		{errdefs.ErrInternal, codes.Internal},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
	} {
		if errors.Is(err, known.is) {
			return known.code
		}
	}
	return codes.Internal
}
