// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"time"
)

// copying copies memory, in pieces as large as those that read asks for, and prints the rate of the fastest way. What
// is fastest on a processor need not be on one that is emulated: that is why there are several.
func copying(args []string) error {
	size, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("the size is a number of bytes: %w", err)
	}
	from, to := make([]uint64, size/8), make([]uint64, chunk/8)
	for i := range from { // so that each page is there, and not the same one
		from[i] = uint64(i)
	}
	fastest := time.Duration(0)
	for _, way := range []func(to, from []uint64){library, words} {
		begin := time.Now()
		for at := 0; at+len(to) <= len(from); at += len(to) {
			way(to, from[at:at+len(to)])
		}
		if took := time.Since(begin); fastest == 0 || took < fastest {
			fastest = took
		}
	}
	return printRate(int64(len(from)/len(to)*len(to)*8), fastest)
}

// library is Go's own way, of sixteen or thirty-two bytes at a time where the processor has registers for them.
func library(to, from []uint64) { copy(to, from) }

// words copies eight bytes at a time, in a loop that is mostly copying.
func words(to, from []uint64) {
	for len(to) >= 8 && len(from) >= 8 {
		a, b, c, d := from[0], from[1], from[2], from[3]
		to[0], to[1], to[2], to[3] = a, b, c, d
		a, b, c, d = from[4], from[5], from[6], from[7]
		to[4], to[5], to[6], to[7] = a, b, c, d
		to, from = to[8:], from[8:]
	}
}
