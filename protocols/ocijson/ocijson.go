// SPDX-License-Identifier: Apache-2.0

package ocijson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
)

// Feature is the name under which an agent announces in
// AgentDetails.extra_features that it takes JSON.
const Feature = "katapod.oci-spec"

// MaxBytes bounds one JSON text. ttrpc's messages have at most 4 MiB, and the
// rest of a request has its place beside the text.
const MaxBytes = 3 << 20

// Encode returns the JSON of part, a pointer to a type of the runtime
// specification. More than [MaxBytes] is errdefs.ErrInvalidArgument.
func Encode(part any) ([]byte, error) {
	data, err := json.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("encode a part of the OCI specification: %w", err)
	}
	return data, checkSize(data)
}

// Decode reads what Encode wrote. A text that is too long, malformed, followed
// by anything, or has a field that this version's specification lacks, and that
// would be lost, is errdefs.ErrInvalidArgument.
func Decode[T any](data []byte) (*T, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	var part *T
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&part); err != nil {
		return nil, fmt.Errorf("decode a part of the OCI specification: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	if _, err := d.Token(); err != io.EOF || part == nil {
		return nil, fmt.Errorf("decode a part of the OCI specification: it is not one JSON object: %w", errdefs.ErrInvalidArgument)
	}
	return part, nil
}

func checkSize(data []byte) error {
	if len(data) > MaxBytes {
		return fmt.Errorf("a part of the OCI specification has %d bytes of JSON, which is more than %d; "+
			"make its arguments or environment shorter: %w", len(data), MaxBytes, errdefs.ErrInvalidArgument)
	}
	return nil
}
