// SPDX-License-Identifier: Apache-2.0

package agent

// Main runs the agent with the given command line and returns its exit code.
func Main(args []string) int {
	return 0
}
