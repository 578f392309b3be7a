// SPDX-License-Identifier: Apache-2.0

// Package sizing computes what a VM gets. It is arithmetic: no file is read and
// nothing is remembered.
package sizing
