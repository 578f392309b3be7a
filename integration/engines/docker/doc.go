// SPDX-License-Identifier: Apache-2.0

// Package docker tests the runtime under Docker, by its own client: 26, which connects a container's network by a hook
// while the container is created, and 28, which moves interfaces into the network namespace of the container's process
// after it was created and before it is started. Both do what they do with `--runtime io.containerd.kata.v2` and with
// a runtime that daemon.json names.
package docker
