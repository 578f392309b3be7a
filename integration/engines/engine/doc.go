// SPDX-License-Identifier: Apache-2.0

// Package engine starts the private node that the tests of one engine run on, with the test images in its containerd,
// and sees to it that nothing is left when they are done.
package engine
