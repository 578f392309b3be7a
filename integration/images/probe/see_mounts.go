// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// seeMounts prints /proc/self/mountinfo without the numbers of mounts and devices: where, what kind, flags of the
// mount, options of the file system, propagation, source. Numbers of peer groups count from the kernel's boot.
func seeMounts() error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		mount, fs := strings.Fields(before), strings.Fields(after)
		if len(mount) < 6 || len(fs) < 3 {
			return fmt.Errorf("a line of mountinfo is %q", line)
		}
		propagation := "private"
		for i, field := range mount[6:] {
			kind, _, _ := strings.Cut(field, ":")
			if i == 0 {
				propagation = kind
			} else {
				propagation += "," + kind
			}
		}
		fmt.Printf("%s type=%s flags=%s options=%s %s source=%s\n", mount[4], fs[0], mount[5], ordered(fs[2]), propagation, fs[1])
	}
	return nil
}

func ordered(options string) string {
	words := strings.Split(options, ",")
	slices.Sort(words)
	return strings.Join(words, ",")
}

func seeInterfaces() error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	slices.SortFunc(interfaces, func(a, b net.Interface) int { return strings.Compare(a.Name, b.Name) })
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return err
		}
		var words []string
		for _, a := range addresses {
			words = append(words, a.String())
		}
		slices.Sort(words)
		fmt.Println(i.Name, "mtu", i.MTU, i.HardwareAddr, i.Flags, strings.Join(words, " "))
	}
	return nil
}
