// SPDX-License-Identifier: Apache-2.0

package node

// ContainerdPID is the process of the node's containerd; it changes with RestartContainerd.
func (n *Node) ContainerdPID() int { return n.containerd.cmd.Process.Pid }
