// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox"
)

// Pod is a pod as the check needs it; the methods are those of sandbox.Sandbox.
type Pod interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Timeline() []sandbox.Step
	Info() map[string]string
	Failure() *sandbox.Failure
}

// Pods makes pods that are not started.
type Pods interface {
	New(o sandbox.Options) (Pod, error)
}

// RealPods makes real ones, with the drivers that the configuration names.
type RealPods struct{}

// New implements Pods.
func (RealPods) New(o sandbox.Options) (Pod, error) {
	drivers, err := sandbox.DefaultDrivers(o.Config)
	if err != nil {
		return nil, err
	}
	return sandbox.New(o, drivers)
}

// check boots a pod without containers, network or cgroup: every step of a
// start up to the agent's answer, and back.
func (t Tool) check(ctx context.Context, f flags) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	pod, err := t.Pods.New(sandbox.Options{ID: checkID(), Namespace: "kata-ctl", Hostname: "check", Config: c})
	if err != nil {
		return err
	}
	failed := pod.Start(ctx)
	report := checkReport{Answered: failed == nil, Steps: steps(pod.Timeline()), Info: pod.Info(), Config: c.Path, Warnings: c.Warnings}
	if failure := pod.Failure(); failure != nil {
		report.Console, report.VMMLog = failure.Console, failure.VMMLog
	}
	if failed != nil {
		report.Error = failed.Error()
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.CheckStop)
	defer cancel()
	stopped := pod.Stop(stopCtx)
	return errors.Join(failed, stopped, t.report(report, f.json))
}

// checkID is unlikely to be that of a pod.
func checkID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "check-" + hex.EncodeToString(b[:])
}

// checkReport is what the check found.
type checkReport struct {
	Answered bool              `json:"answered"`
	Error    string            `json:"error,omitempty"`
	Config   string            `json:"config"`
	Warnings []string          `json:"warnings,omitempty"`
	Info     map[string]string `json:"info"`
	Steps    []step            `json:"steps"`
	Console  string            `json:"console,omitempty"`
	VMMLog   string            `json:"vmm_log,omitempty"`
}

func (t Tool) report(r checkReport, asJSON bool) error {
	if asJSON {
		return t.writeJSON(r)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(t.Out, "warning: %s\n", warning)
	}
	if err := t.printSteps(r.Steps); err != nil {
		return err
	}
	if !r.Answered {
		t.lastWords(r.Console, r.VMMLog)
		return nil
	}
	fmt.Fprintf(t.Out, "the agent answered: %s %s on %s, configuration %s\n",
		r.Info["hypervisor"], r.Info["hypervisor_version"], r.Info["accelerator"], r.Config)
	return nil
}
