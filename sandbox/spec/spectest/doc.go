// SPDX-License-Identifier: Apache-2.0

// Package spectest makes OCI specs from bytes, for fuzz tests: bytes that are
// JSON are read as such, and any others say, field by field, what a spec has.
// That way every change of the bytes gives a spec again, and the fuzzer does not
// spend its time on broken JSON.
package spectest
