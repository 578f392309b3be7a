// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/sandbox"
)

// fakePods makes pods that start, or fail to.
type fakePods struct {
	startErr, stopErr error
	stopped           bool
	options           sandbox.Options
}

func (p *fakePods) New(o sandbox.Options) (Pod, error) {
	p.options = o
	return p, nil
}
func (p *fakePods) Start(context.Context) error { return p.startErr }
func (p *fakePods) Stop(context.Context) error  { p.stopped = true; return p.stopErr }
func (p *fakePods) Timeline() []sandbox.Step {
	return []sandbox.Step{{Name: "vm", Start: time.Millisecond, Duration: 1500 * time.Microsecond}}
}
func (p *fakePods) Info() map[string]string {
	return map[string]string{"hypervisor": "qemu", "hypervisor_version": "7.2", "accelerator": "tcg"}
}
func (p *fakePods) Failure() *sandbox.Failure {
	if p.startErr == nil {
		return nil
	}
	return &sandbox.Failure{Console: "Kernel panic"}
}

type run struct {
	code     int
	out, err string
}

func tool(t *testing.T, pods Pods, args ...string) run {
	t.Helper()
	var out, errs bytes.Buffer
	code := Tool{Version: "v1", Out: &out, Err: &errs, Pods: pods}.Run(t.Context(), args)
	return run{code, out.String(), errs.String()}
}

// configured writes a configuration and returns its path and the state
// directory.
func configured(t *testing.T) (path, state string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kc") // short: unix sockets lie below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path, state = filepath.Join(dir, "configuration.toml"), filepath.Join(dir, "vc")
	text := fmt.Sprintf("[hypervisor.qemu]\npath = \"/bin/true\"\nvirtio_fs_daemon = \"/nonexistent\"\nkernel = %q\nimage = \"/nonexistent\"\naccelerator = \"tcg\"\n[runtime]\nstate_dir = %q\n", path, state)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, state
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]int{"": 2, "help": 0, "-h": 0, "nonsense": 2, "check -nonsense": 2, "timeline": 2, "env -h": 0} {
		got := tool(t, nil, strings.Fields(args)...)
		if got.code != want || got.err == "" || got.out != "" {
			t.Errorf("kata-ctl %s: %+v, want exit code %d and help on standard error", args, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := tool(t, nil, "version"); got.code != 0 || got.out != "kata-ctl v1\n" {
		t.Errorf("%+v", got)
	}
	if got := tool(t, nil, "version", "-json"); got.code != 0 || !strings.Contains(got.out, `"version": "v1"`) {
		t.Errorf("%+v", got)
	}
}

func TestEnv(t *testing.T) {
	path, state := configured(t)
	got := tool(t, nil, "env", "-config", path, "-json")
	var e environment
	if err := json.Unmarshal([]byte(got.out), &e); err != nil || got.code != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	if e.Config != path || e.StateDir != state || e.VMM.Path != "/bin/true" || e.Accelerator != "tcg" || e.Reason == "" {
		t.Errorf("environment %+v", e)
	}
	if e.Kernel.Bytes == 0 || e.Image.Error == "" || !strings.Contains(e.Virtiofsd.Version, "no such file") {
		t.Errorf("files %+v %+v %+v", e.Kernel, e.Image, e.Virtiofsd)
	}
	if got := tool(t, nil, "env", "-config", path); got.code != 0 || !strings.Contains(got.out, "accelerator") {
		t.Errorf("%+v", got)
	}
	if got := tool(t, nil, "env", "-config", "/nonexistent.toml"); got.code != 1 || !strings.Contains(got.err, "/nonexistent.toml") {
		t.Errorf("%+v", got)
	}
}

func TestCheck(t *testing.T) {
	path, _ := configured(t)
	pods := &fakePods{}
	got := tool(t, pods, "check", "-config", path)
	if got.code != 0 || !strings.Contains(got.out, "the agent answered: qemu 7.2 on tcg") || !strings.Contains(got.out, "1.5 ms") {
		t.Errorf("%+v", got)
	}
	if !pods.stopped || pods.options.Config.Path != path || !strings.HasPrefix(pods.options.ID, "check-") {
		t.Errorf("the pod was stopped: %v; its options %+v", pods.stopped, pods.options)
	}
}

func TestCheckThatFails(t *testing.T) {
	path, _ := configured(t)
	pods := &fakePods{startErr: errors.New("no answer")}
	got := tool(t, pods, "check", "-config", path)
	if got.code != 1 || !strings.Contains(got.err, "no answer") || !strings.Contains(got.out, "Kernel panic") || !pods.stopped {
		t.Errorf("%+v, stopped %v", got, pods.stopped)
	}
	got = tool(t, pods, "check", "-config", path, "-json")
	var r checkReport
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || r.Answered || r.Error != "no answer" || got.code != 1 {
		t.Errorf("%+v: report %+v, error %v", got, r, err)
	}
	if got := tool(t, &fakePods{stopErr: errors.New("stuck")}, "check", "-config", path); got.code != 1 {
		t.Errorf("a VM that does not end: %+v", got)
	}
}

func TestTimelineAndSandboxes(t *testing.T) {
	path, state := configured(t)
	if got := tool(t, nil, "sandboxes", "-config", path, "-json"); got.code != 0 || strings.TrimSpace(got.out) != "[]" {
		t.Errorf("without pods: %+v", got)
	}
	files := map[string]string{
		"up@k8s.io/timeline.json":     `{"steps":[{"name":"agent","start_ms":2,"duration_ms":3.25}]}`,
		"failed@k8s.io/timeline.json": `{"steps":[]}`,
		"broken@k8s.io/timeline.json": `nonsense`,
		"starting@k8s.io/ledger":      "",
		"twice@one/timeline.json":     `{"steps":[{"name":"one"}]}`,
		"twice@two/timeline.json":     `{"steps":[{"name":"two"}]}`,
	}
	for name, text := range files {
		file := filepath.Join(state, "sbs", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := tool(t, nil, "timeline", "-config", path, "up"); got.code != 0 || !strings.Contains(got.out, "agent") || !strings.Contains(got.out, "5.2 ms") {
		t.Errorf("%+v", got)
	}
	if got := tool(t, nil, "timeline", "-config", path, "absent"); got.code != 1 || !strings.Contains(got.err, "no pod of that id") {
		t.Errorf("%+v", got)
	}
	if got := tool(t, nil, "timeline", "-config", path, "broken"); got.code != 1 {
		t.Errorf("%+v", got)
	}
	if got := tool(t, nil, "timeline", "-config", path, "twice"); got.code != 1 || !strings.Contains(got.err, "twice@two") {
		t.Errorf("%+v", got)
	}
	if got := tool(t, nil, "timeline", "-config", path, "twice@two"); got.code != 0 || !strings.Contains(got.out, "two") {
		t.Errorf("%+v", got)
	}
	report := `{"pod":"failed","namespace":"k8s.io","code":"vmm-died","cause":"killed","at":"2026-01-02T03:04:05Z"}`
	writeRecord(t, state, "failed@k8s.io.json", report)
	var list []pod
	got := tool(t, nil, "sandboxes", "-config", path, "-json")
	if err := json.Unmarshal([]byte(got.out), &list); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, p := range list {
		states[p.Namespace+"/"+p.ID] = p.State
	}
	if fmt.Sprint(states) != "map[k8s.io/broken:up k8s.io/failed:failed k8s.io/starting:starting k8s.io/up:up one/twice:up two/twice:up]" {
		t.Errorf("states %v", states)
	}
	if got := tool(t, nil, "sandboxes", "-config", path); !strings.Contains(got.out, "killed [vmm-died]") {
		t.Errorf("%+v", got)
	}
}
