// SPDX-License-Identifier: Apache-2.0

// Command soak starts and stops pods on a private node, one after another and many at once, and watches what grows: on
// the node, in containerd, and in a pod that stays all the while, in whose shim and guest a container and an exec come
// and go with every other pod.
//
// A shim and a guest end with their pod, so it is the pod that stays which tells whether they leak; what the others
// leave behind would be the node's and containerd's. Growth is judged by the slope of a line fitted to the samples after
// a warm-up, against a limit whose reason stands at its rule. A table is printed, and all samples are drawn to soak.svg.
package main
