// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/node"
)

// Statistics of containers and pods are right within a tenth of a load that is known, with a pause container and
// without.
func TestPodLoad(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("what the pod's processes use on the node is looked up by its id in the command lines of the VMM and its helpers")
	}
	for _, handler := range podHandlers() {
		t.Run(handler, func(t *testing.T) {
			pod := &loadedPod{startPod(t, node.Pod{Name: "load-" + handler, Handler: handler})}
			id := pod.start(node.Container{Name: "four", Args: []string{"sh", "-c", "sleep 1000 & sleep 1000 & sleep 1000 & echo up; wait"}})
			pod.waitLog("four", "up")
			t.Run("processes", func(t *testing.T) {
				if got := pod.task(t, id).Pids.Current; got != 4 {
					t.Errorf("a shell with three children is %d processes", got)
				}
			})
			t.Run("CPU", func(t *testing.T) { pod.testCPU(t, id) })
			t.Run("memory", pod.testMemory)
			t.Run("network", func(t *testing.T) { pod.testNetwork(t, id) })
		})
	}
}

// loadedPod is a pod that no other runs beside: the cgroup that containerd looks into is that of all of the node's pods.
type loadedPod struct{ *pod }

// usage is what CRI says of a container or a pod.
type usage struct {
	CPU     struct{ UsageCoreNanoSeconds struct{ Value string } }
	Memory  struct{ WorkingSetBytes, UsageBytes struct{ Value string } }
	Network struct{ DefaultInterface interfaceUsage }
}

type interfaceUsage struct {
	Name             string
	RxBytes, TxBytes struct{ Value string }
}

func (p *loadedPod) container(t *testing.T, id string) usage {
	t.Helper()
	var listed struct{ Stats []usage }
	if err := shared.CrictlJSON(p.ctx, &listed, "stats", "--id", id); err != nil || len(listed.Stats) != 1 {
		t.Fatalf("crictl stats: %+v, error %v", listed, err)
	}
	return listed.Stats[0]
}

func (p *loadedPod) whole(t *testing.T) usage {
	t.Helper()
	var listed struct{ Stats []struct{ Linux usage } }
	if err := shared.CrictlJSON(p.ctx, &listed, "statsp", "--id", p.id); err != nil || len(listed.Stats) != 1 {
		t.Fatalf("crictl statsp: %+v, error %v", listed, err)
	}
	return listed.Stats[0].Linux
}

// taskMetrics are those of containerd's task service, of either version of cgroups as far as they are alike.
type taskMetrics struct {
	Pids    struct{ Current int }
	Network []struct {
		Name    string
		RxBytes float64 `json:"rx_bytes"`
		TxBytes float64 `json:"tx_bytes"`
	}
}

func (p *loadedPod) task(t *testing.T, id string) taskMetrics {
	t.Helper()
	out, err := shared.Ctr(p.ctx, "--namespace", "k8s.io", "tasks", "metrics", "--format", "json", id)
	if err != nil {
		t.Fatal(err)
	}
	var m taskMetrics
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatalf("ctr tasks metrics printed %q: %v", out, err)
	}
	return m
}

// compared is a difference and what is known of it.
type compared struct {
	what      string
	got, want float64
}

// near measures differences, which have to be as they are known within a tenth. What a busy machine does meanwhile is in
// one measurement and not in the next, what is counted wrong is in each.
func near(t *testing.T, measure func() []compared) {
	t.Helper()
	const most = 5
	for try := 1; ; try++ {
		far := 0
		for _, c := range measure() {
			if math.Abs(c.got-c.want) > c.want/10 {
				far++
			}
			t.Logf("%s: %.0f of %.0f, %+.1f %%", c.what, c.got, c.want, 100*(c.got-c.want)/c.want)
		}
		if far == 0 {
			return
		}
		if try == most {
			t.Fatalf("%d of these differ by more than a tenth, the %dth time", far, try)
		}
	}
}

// testCPU has a shell count and say what it used by its own account, which is in the guest's time.
func (p *loadedPod) testCPU(t *testing.T, id string) {
	cpu := func(u usage) float64 { return float64(number(t, u.CPU.UsageCoreNanoSeconds.Value)) }
	near(t, func() []compared {
		container, whole, host := cpu(p.container(t, id)), cpu(p.whole(t)), p.hostCPU(t)
		said := p.exec(id, "sh", "-c", "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; times")
		return []compared{
			{"CPU of the container, in ns", cpu(p.container(t, id)) - container, shellTimes(t, said)},
			{"CPU of the pod on the node, in ns", cpu(p.whole(t)) - whole, p.hostCPU(t) - host},
		}
	})
}

// shellTimes reads what `times` prints of the shell itself: its user and system time.
func shellTimes(t *testing.T, text string) float64 {
	t.Helper()
	sum := 0.0
	line, _, _ := strings.Cut(text, "\n")
	for _, m := range regexp.MustCompile(`(\d+)m([\d.]+)s`).FindAllStringSubmatch(line, 2) {
		minutes, err1 := strconv.ParseFloat(m[1], 64)
		seconds, err2 := strconv.ParseFloat(m[2], 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("times printed %q", text)
		}
		sum += (60*minutes + seconds) * 1e9
	}
	if sum < 1e8 {
		t.Fatalf("times printed %q, too little to compare with", text)
	}
	return sum
}

// hostCPU is what the pod's shim, VMM and helpers used so far, in ns: user and system time of proc(5), whose ticks are
// hundredths of a second. Each has the pod's id in its command line.
func (p *loadedPod) hostCPU(t *testing.T) float64 {
	t.Helper()
	processes, err := shared.PodProcesses()
	if err != nil {
		t.Fatal(err)
	}
	ticks := 0.0
	for _, process := range processes {
		if !strings.Contains(strings.Join(process.Args, " "), p.id) {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process.PID))
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		for _, field := range fields[11:13] {
			n, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatalf("the times of process %s: %v", process, err)
			}
			ticks += n
		}
	}
	return ticks * 1e7
}

// testMemory has a container touch memory. What the pod takes on the node is more: the VM's own.
func (p *loadedPod) testMemory(t *testing.T) {
	const size = 100 << 20
	id := p.start(node.Container{Name: "eater", Args: []string{"probe", "eat", strconv.Itoa(size)}})
	p.waitLog("eater", "ate")
	near(t, func() []compared {
		u := p.container(t, id)
		return []compared{
			{"memory in use by the container", float64(number(t, u.Memory.UsageBytes.Value)), size},
			{"working set of the container", float64(number(t, u.Memory.WorkingSetBytes.Value)), size},
		}
	})
	if whole := number(t, p.whole(t).Memory.UsageBytes.Value); whole < size || whole > 800<<20 {
		t.Errorf("the pod takes %d bytes on the node", whole)
	}
}

// testNetwork sends bytes to the node and back.
func (p *loadedPod) testNetwork(t *testing.T, id string) {
	const size = 6 << 20
	server := echoOnNode(t)
	near(t, func() []compared {
		before, reported := p.whole(t).Network.DefaultInterface, p.task(t, id).Network
		p.exec(id, "probe", "exchange", server, strconv.Itoa(size))
		after, now := p.whole(t).Network.DefaultInterface, p.task(t, id).Network
		if after.Name != "eth0" || len(now) != 1 || len(reported) != 1 || now[0].Name != "eth0" {
			t.Fatalf("the pod's interface is called %q, the task's are %+v", after.Name, now)
		}
		received, sent := after.since(t, before)
		return []compared{
			{"bytes received by the pod", received, size},
			{"bytes sent by the pod", sent, size},
			{"bytes received by the container", now[0].RxBytes - reported[0].RxBytes, received},
			{"bytes sent by the container", now[0].TxBytes - reported[0].TxBytes, sent},
		}
	})
}

// since are the bytes since then.
func (u interfaceUsage) since(t *testing.T, then interfaceUsage) (received, sent float64) {
	t.Helper()
	return float64(number(t, u.RxBytes.Value) - number(t, then.RxBytes.Value)), float64(number(t, u.TxBytes.Value) - number(t, then.TxBytes.Value))
}

// echoOnNode serves on the bridge of the pods, in the node, until the test ends.
func echoOnNode(t *testing.T) (address string) {
	t.Helper()
	address = "10.88.0.1:7099"
	ctx, stop := context.WithCancel(context.Background())
	cmd := shared.Runner().Command(ctx, filepath.Join(shared.Out, "node", "probe"), "echo", address)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was stopped
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "listening") {
		t.Fatalf("the server on the node said %q, error %v", line, err)
	}
	return address
}
