// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"bytes"
	"fmt"
)

// archive is a cpio archive of kind "newc" with one executable and a console
// device, as Documentation/driver-api/early-userspace/buffer-format.rst of
// Linux describes it.
func archive(name string, executable []byte) []byte {
	var b bytes.Buffer
	const (
		directory  = 0o040755
		program    = 0o100755
		charDevice = 0o020600
	)
	entry(&b, 1, "dev", directory, 0, 0, nil)
	entry(&b, 2, "dev/console", charDevice, 5, 1, nil)
	entry(&b, 3, name, program, 0, 0, executable)
	entry(&b, 0, "TRAILER!!!", 0, 0, 0, nil)
	return b.Bytes()
}

func entry(b *bytes.Buffer, inode int, name string, mode, major, minor int, data []byte) {
	fmt.Fprintf(b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0)
	b.WriteString(name)
	b.WriteByte(0)
	pad(b)
	b.Write(data)
	pad(b)
}

// pad aligns the next part to 4 bytes.
func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
