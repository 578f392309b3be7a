// SPDX-License-Identifier: Apache-2.0

// Command kata-agent is PID 1 of the guest.
package main

import (
	"os"

	"github.com/katapod/katapod/agent"
)

func main() {
	os.Exit(agent.Main(os.Args))
}
