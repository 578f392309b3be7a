// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/failure"
)

// Refused is the failure of a pod that was never made, because of err: what it is to
// be cannot be read, or is not possible. Its report goes into the bundle, as that of
// any failure; where the others are kept is not known without a configuration.
func Refused(id, namespace, bundle string, err error) error {
	f := &sandbox.Failure{
		Pod: id, Namespace: namespace, Step: failure.StepConfigure, Code: refusal(err), Cause: err, At: time.Now(),
	}
	if !filepath.IsAbs(bundle) {
		return f
	}
	if written := f.Write(filepath.Join(bundle, failure.FileName)); written != nil && !errors.Is(written, os.ErrNotExist) {
		return errors.Join(f, written)
	}
	return f
}

func refusal(err error) failure.Code {
	code, known := failure.CodeOf(err)
	switch {
	case known:
		return code
	case errdefs.IsNotImplemented(err):
		return failure.Unsupported
	case errdefs.IsInvalidArgument(err), errdefs.IsNotFound(err), errdefs.IsFailedPrecondition(err):
		return failure.ConfigInvalid
	}
	return failure.Internal
}
