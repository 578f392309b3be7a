// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"testing"

	"github.com/katapod/katapod/integration/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
