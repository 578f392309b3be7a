// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Metrics returns the agent's and the guest's numbers in Prometheus's text
// format. proc is the mount point of proc, sys of sysfs.
func Metrics(proc, sys string) (string, error) {
	var b strings.Builder
	for _, write := range []func(*strings.Builder) error{
		func(b *strings.Builder) error { return agentMetrics(b, filepath.Join(proc, "self")) },
		func(b *strings.Builder) error { return loadMetrics(b, proc) },
		func(b *strings.Builder) error { return memoryMetrics(b, proc) },
		func(b *strings.Builder) error { return cpuMetrics(b, proc) },
		func(b *strings.Builder) error { return networkMetrics(b, sys) },
	} {
		if err := write(&b); err != nil {
			return "", fmt.Errorf("collect the guest's metrics: %w", err)
		}
	}
	return b.String(), nil
}

func gauge(b *strings.Builder, name, help string, value float64) {
	family(b, name, help)
	sample(b, name, "", value)
}

func family(b *strings.Builder, name, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

// sample writes one value; labels come as they are written, without braces.
func sample(b *strings.Builder, name, labels string, value float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(b, "%s%s %s\n", name, labels, strconv.FormatFloat(value, 'g', -1, 64))
}

func agentMetrics(b *strings.Builder, self string) error {
	statm, err := os.ReadFile(filepath.Join(self, "statm"))
	if err != nil {
		return err
	}
	pages := strings.Fields(string(statm))
	if len(pages) < 2 {
		return fmt.Errorf("%s/statm has %d words", self, len(pages))
	}
	resident, err := strconv.ParseFloat(pages[1], 64)
	if err != nil {
		return err
	}
	fds, err := os.ReadDir(filepath.Join(self, "fd"))
	if err != nil {
		return err
	}
	tasks, err := os.ReadDir(filepath.Join(self, "task"))
	if err != nil {
		return err
	}
	gauge(b, "kata_agent_total_rss", "Resident memory of the agent in bytes.", resident*float64(os.Getpagesize()))
	gauge(b, "kata_agent_process_open_fds", "Open files of the agent.", float64(len(fds)))
	gauge(b, "kata_agent_threads", "Threads of the agent.", float64(len(tasks)))
	gauge(b, "kata_agent_goroutines", "Goroutines of the agent.", float64(runtime.NumGoroutine()))
	return nil
}

func loadMetrics(b *strings.Builder, proc string) error {
	data, err := os.ReadFile(filepath.Join(proc, "loadavg"))
	if err != nil {
		return err
	}
	words := strings.Fields(string(data))
	family(b, "kata_guest_load", "Load averages of the guest.")
	for i, item := range []string{"load1", "load5", "load15"} {
		if i >= len(words) {
			break
		}
		v, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			return err
		}
		sample(b, "kata_guest_load", `item="`+item+`"`, v)
	}
	return nil
}

// memoryMetrics writes /proc/meminfo: "Name: 12 kB", in bytes.
func memoryMetrics(b *strings.Builder, proc string) error {
	f, err := os.Open(filepath.Join(proc, "meminfo"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	family(b, "kata_guest_meminfo", "Memory of the guest, by the names of /proc/meminfo, in bytes or pages.")
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, ok := strings.Cut(lines.Text(), ":")
		words := strings.Fields(rest)
		if !ok || len(words) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(words[0], 64)
		if err != nil {
			return err
		}
		if len(words) > 1 && words[1] == "kB" {
			v *= 1024
		}
		item := strings.ToLower(strings.NewReplacer("(", "_", ")", "").Replace(name))
		sample(b, "kata_guest_meminfo", `item="`+item+`"`, v)
	}
	return nil
}

// ticks is the kernel's unit of time in /proc/stat, the same on every Linux.
const ticks = 100

// cpuMetrics writes the lines "cpuN user nice system idle ..." of /proc/stat.
func cpuMetrics(b *strings.Builder, proc string) error {
	data, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return err
	}
	items := []string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"}
	family(b, "kata_guest_cpu_time", "Time of each CPU of the guest in seconds.")
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) == 0 || !strings.HasPrefix(words[0], "cpu") {
			continue
		}
		for i, word := range words[1:] {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				return err
			}
			if i < len(items) {
				sample(b, "kata_guest_cpu_time", fmt.Sprintf("cpu=%q,item=%q", words[0], items[i]), v/ticks)
			}
		}
	}
	return nil
}

func networkMetrics(b *strings.Builder, sys string) error {
	links, err := Network(sys)
	if err != nil {
		return err
	}
	family(b, "kata_guest_netdev_stat", "What each link of the guest has moved.")
	for _, l := range links {
		for _, v := range []struct {
			item  string
			value uint64
		}{
			{"recv_bytes", l.RxBytes}, {"recv_packets", l.RxPackets}, {"recv_errs", l.RxErrors}, {"recv_drop", l.RxDropped},
			{"sent_bytes", l.TxBytes}, {"sent_packets", l.TxPackets}, {"sent_errs", l.TxErrors}, {"sent_drop", l.TxDropped},
		} {
			sample(b, "kata_guest_netdev_stat", fmt.Sprintf("interface=%q,item=%q", l.Name, v.item), float64(v.value))
		}
	}
	return nil
}
