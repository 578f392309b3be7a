// SPDX-License-Identifier: Apache-2.0

package boot

import "testing"

// FuzzCommandLine boots with any command line: bad parameters keep their defaults and
// are told of, others are the kernel's.
func FuzzCommandLine(f *testing.F) {
	f.Add("console=ttyS0 panic=-1 agent.log=debug agent.hotplug_timeout=5 root=/dev/vda")
	f.Add("agent.=1 agent agent.log_vport=4294967296 agent.debug_console=maybe agent.hotplug_timeout=-1")
	f.Add("agent.log=\xff agent.hotplug_timeout=99999999999999999999")
	f.Fuzz(func(t *testing.T, line string) {
		p, errs := ParseCommandLine(line)
		if p.HotplugTimeout < 0 {
			t.Fatalf("%q gave the time-out %s", line, p.HotplugTimeout)
		}
		if again, more := ParseCommandLine(line); again != p || len(more) != len(errs) {
			t.Fatalf("%q was read in two ways", line)
		}
	})
}
