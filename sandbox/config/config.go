// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"time"
)

// Config is the configuration of one sandbox. It is a value: treat it, its
// slices included, as read-only.
type Config struct {
	// Hypervisor is the section [hypervisor.<name>].
	Hypervisor Hypervisor
	// Agent is the section [agent.kata].
	Agent Agent
	// Runtime is the section [runtime].
	Runtime Runtime
	// Factory is the section [factory].
	Factory Factory
	// Path is the file that Load read, empty for Default.
	Path string
	// Warnings are sentences about keys that are known to nobody, one each.
	Warnings []string
}

// Agent is what the section [agent.kata] says.
type Agent struct {
	// Debug makes the agent talkative (enable_debug).
	Debug bool `toml:"enable_debug"`
	// DebugConsole opens the guest's debug console (debug_console_enabled).
	DebugConsole bool `toml:"debug_console_enabled"`
	// DialTimeout bounds the wait for the agent's first answer (dial_timeout).
	DialTimeout Seconds `toml:"dial_timeout"`
	// KernelModules are loaded in the guest, each "name key=value ..."
	// (kernel_modules).
	KernelModules []string `toml:"kernel_modules"`
}

// Seconds is a duration that the file gives as a whole number of seconds.
type Seconds int64

// Duration converts to the standard library's type.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// clone returns a copy that shares no slice with c.
func (c Config) clone() Config {
	h := &c.Hypervisor
	for _, list := range []*[]string{
		&h.VirtioFSExtraArgs, &h.EnableAnnotations, &h.ValidPaths,
		&h.ValidVirtioFSDaemonPaths, &h.ValidEntropySources,
		&c.Agent.KernelModules, &c.Runtime.SandboxBindMounts,
		&c.Warnings,
	} {
		*list = slices.Clone(*list)
	}
	return c
}
