// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/ethtool.h: commands, the set of names of features, and the length of a name.
const (
	getStrings    = 0x1b
	getSetInfo    = 0x37
	getFeatures   = 0x3a
	featureNames  = 4
	nameLength    = 32
	featureFields = 16 // bytes for each 32 features: available, requested, active, never changed
	activeField   = 8
)

// offloads prints what of the work for packets the link leaves to its device, a name per line as ethtool -k has them.
func offloads(args []string) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket to ask about %s: %w", args[0], err)
	}
	defer unix.Close(socket)
	link := ethtool{socket, args[0]}
	// ethtool_sset_info: command, reserved, mask of sets, and a count for each.
	info := make([]byte, 16+4)
	put(info, 0, getSetInfo)
	binary.NativeEndian.PutUint64(info[8:], 1<<featureNames)
	if err := link.ask(info); err != nil {
		return err
	}
	count := int(binary.NativeEndian.Uint32(info[16:]))
	names := make([]byte, 12+count*nameLength)
	put(names, 0, getStrings)
	put(names, 4, featureNames)
	put(names, 8, uint32(count))
	if err := link.ask(names); err != nil {
		return err
	}
	blocks := (count + 31) / 32
	features := make([]byte, 8+blocks*featureFields)
	put(features, 0, getFeatures)
	put(features, 4, uint32(blocks))
	if err := link.ask(features); err != nil {
		return err
	}
	for i := range count {
		active := binary.NativeEndian.Uint32(features[8+i/32*featureFields+activeField:])
		if name := names[12+i*nameLength:][:nameLength]; active>>(i%32)&1 == 1 {
			fmt.Fprintf(os.Stdout, "%s\n", bytes.TrimRight(name, "\x00"))
		}
	}
	return nil
}

func put(to []byte, at int, value uint32) { binary.NativeEndian.PutUint32(to[at:], value) }

// ethtool asks the driver of a link (SIOCETHTOOL).
type ethtool struct {
	socket int
	link   string
}

func (e ethtool) ask(question []byte) error {
	var pin runtime.Pinner
	pin.Pin(&question[0])
	defer pin.Unpin()
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&question[0])}
	copy(request.name[:unix.IFNAMSIZ-1], e.link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("ask for the offloads of %s: %w", e.link, errno)
	}
	return nil
}
