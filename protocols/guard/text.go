// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"strings"

	"google.golang.org/grpc/status"
)

// MaxText is how much of an error's text an agent can have the host log, store and
// hand on, in bytes.
const MaxText = 4 << 10

// Shorten cuts an error that an agent answered with to [MaxText], and drops the
// details that no agent of ours sends. Any other error is returned as it is.
func Shorten(err error) error {
	s, isStatus := status.FromError(err)
	if err == nil || !isStatus {
		return err
	}
	text := s.Message()
	if len(text) > MaxText {
		// Between the beginning, which says what failed, and the end, which says why.
		text = text[:MaxText/2] + " … " + text[len(text)-MaxText/2:]
	}
	return status.Error(s.Code(), strings.ToValidUTF8(text, "\uFFFD"))
}
