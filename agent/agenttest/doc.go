// SPDX-License-Identifier: Apache-2.0

// Package agenttest boots the real guest, kernel and root image as `make guest`
// builds them, in QEMU without hardware virtualization, and drives the agent in
// it through its serial channel. Its tests are the proof of the agent's calls;
// they skip with the reason when the guest is not built or QEMU is missing.
package agenttest
