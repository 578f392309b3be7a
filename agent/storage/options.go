// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"strings"

	"golang.org/x/sys/unix"
)

// option is what a word of mount(8) does to the flags of mount(2).
type option struct {
	clear bool
	flag  uintptr
}

// flagOptions lists the words that are flags. All others are data for the file
// system.
func flagOptions() map[string]option {
	return map[string]option{
		"defaults": {}, "async": {true, unix.MS_SYNCHRONOUS}, "sync": {false, unix.MS_SYNCHRONOUS},
		"atime": {true, unix.MS_NOATIME}, "noatime": {false, unix.MS_NOATIME},
		"bind": {false, unix.MS_BIND}, "rbind": {false, unix.MS_BIND | unix.MS_REC},
		"dev": {true, unix.MS_NODEV}, "nodev": {false, unix.MS_NODEV},
		"diratime": {true, unix.MS_NODIRATIME}, "nodiratime": {false, unix.MS_NODIRATIME},
		"dirsync": {false, unix.MS_DIRSYNC},
		"exec":    {true, unix.MS_NOEXEC}, "noexec": {false, unix.MS_NOEXEC},
		"lazytime": {false, unix.MS_LAZYTIME}, "nolazytime": {true, unix.MS_LAZYTIME},
		"relatime": {false, unix.MS_RELATIME}, "norelatime": {true, unix.MS_RELATIME},
		"remount": {false, unix.MS_REMOUNT},
		"ro":      {false, unix.MS_RDONLY}, "rw": {true, unix.MS_RDONLY},
		"silent": {false, unix.MS_SILENT}, "loud": {true, unix.MS_SILENT},
		"strictatime": {false, unix.MS_STRICTATIME}, "nostrictatime": {true, unix.MS_STRICTATIME},
		"suid": {true, unix.MS_NOSUID}, "nosuid": {false, unix.MS_NOSUID},
	}
}

// propagations lists the words that change how mounts spread, by a mount(2)
// call of their own.
func propagations() map[string]uintptr {
	return map[string]uintptr{
		"private": unix.MS_PRIVATE, "rprivate": unix.MS_PRIVATE | unix.MS_REC,
		"shared": unix.MS_SHARED, "rshared": unix.MS_SHARED | unix.MS_REC,
		"slave": unix.MS_SLAVE, "rslave": unix.MS_SLAVE | unix.MS_REC,
		"unbindable": unix.MS_UNBINDABLE, "runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
	}
}

// mountOptions are the words of an option list, sorted by what they are for.
type mountOptions struct {
	flags       uintptr
	propagation []uintptr
	data        []string
}

func parseOptions(words []string) mountOptions {
	flags, spread := flagOptions(), propagations()
	var o mountOptions
	for _, list := range words {
		for word := range strings.SplitSeq(list, ",") {
			if f, ok := flags[word]; ok && f.clear {
				o.flags &^= f.flag
			} else if ok {
				o.flags |= f.flag
			} else if p, ok := spread[word]; ok {
				o.propagation = append(o.propagation, p)
			} else if word != "" {
				o.data = append(o.data, word)
			}
		}
	}
	return o
}

// value takes "name=value" out of the data and returns the value.
func (o *mountOptions) value(name string) (string, bool) {
	for i, d := range o.data {
		if v, ok := strings.CutPrefix(d, name+"="); ok {
			o.data = append(o.data[:i:i], o.data[i+1:]...)
			return v, true
		}
	}
	return "", false
}
