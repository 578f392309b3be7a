// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/katapod/katapod/integration/images"
)

// showCtr runs one container and compares its kernel with the machine's.
func (d *demo) showCtr() error {
	args := []string{"run", "--rm", "--runtime", "io.containerd." + d.handler + ".v2"}
	if d.handler == "runc" {
		args = []string{"run", "--rm", "--runc-root", d.Root + "/runc"}
	}
	args = append(args, images.Busybox, "hello", "uname", "-srv")
	return d.check("ctr "+strings.Join(args, " "), func() ([]string, error) {
		guest, err := d.Ctr(d.ctx, args...)
		if err != nil {
			return nil, err
		}
		host, err := d.Runner().Run(d.ctx, "uname", "-srv")
		if err != nil {
			return nil, err
		}
		facts := []string{"in the container: " + strings.TrimSpace(guest), "on the machine:   " + strings.TrimSpace(host)}
		if (guest == host) != (d.handler == "runc") {
			return facts, fmt.Errorf("a container of %s and the machine must not have these kernels", d.handler)
		}
		return facts, nil
	})
}
