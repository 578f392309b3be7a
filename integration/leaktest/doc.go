// SPDX-License-Identifier: Apache-2.0

// Package leaktest ends the tests of a package: goroutines, descriptors and child
// processes that they leave fail them. Each package's TestMain calls [Main]; a test
// of package docs holds that.
package leaktest
