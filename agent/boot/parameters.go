// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Parameters are the agent's own words on the kernel command line, all named
// agent.*.
type Parameters struct {
	// LogLevel is agent.log=: trace, debug, info, warn or error.
	LogLevel slog.Level
	// DebugConsole is agent.debug_console: a shell for whoever reaches it.
	DebugConsole bool
	// DebugConsolePort is agent.debug_console_vport=, a guest port; 0 stands
	// for the guest's console.
	DebugConsolePort uint32
	// LogPort is agent.log_vport=: a guest port that gives the log; 0 is none.
	LogPort uint32
	// HotplugTimeout is agent.hotplug_timeout=: how long a device may take to
	// appear. It is shorter than the host waits for an answer. With 20 guests that
	// start at once on two busy processors without hardware virtualization, ten
	// seconds were too few for one of them.
	HotplugTimeout time.Duration
	// ContainerPipeSize is agent.container_pipe_size=: the capacity in bytes of
	// the pipes that containers write to; 0 is the kernel's default.
	ContainerPipeSize int
	// DevMode is agent.devmode: processes may leave core dumps.
	DevMode bool
	// Emulated is agent.emulated: the guest's processor is translated code, and
	// the agent does what makes that faster.
	Emulated bool
}

// DefaultParameters returns the values for what the command line leaves out.
func DefaultParameters() Parameters {
	return Parameters{LogLevel: slog.LevelInfo, HotplugTimeout: 30 * time.Second}
}

// ParseCommandLine reads the agent's parameters. Bad ones keep their defaults
// and are returned as errors, for the log: a guest that boots and says so is
// easier to mend than one that does not.
func ParseCommandLine(line string) (Parameters, []error) {
	p := DefaultParameters()
	var errs []error
	for word := range strings.FieldsSeq(line) {
		name, value, _ := strings.Cut(word, "=")
		if !strings.HasPrefix(name, "agent.") {
			continue
		}
		if err := p.set(name, value); err != nil {
			errs = append(errs, fmt.Errorf("kernel parameter %s: %w", word, err))
		}
	}
	return p, errs
}

func (p *Parameters) set(name, value string) (err error) {
	switch name {
	case "agent.log":
		p.LogLevel, err = level(value)
	case "agent.debug_console":
		p.DebugConsole, err = flag(value)
	case "agent.debug_console_vport":
		p.DebugConsolePort, err = port(value)
	case "agent.log_vport":
		p.LogPort, err = port(value)
	case "agent.hotplug_timeout":
		p.HotplugTimeout, err = seconds(value)
	case "agent.container_pipe_size":
		p.ContainerPipeSize, err = size(value)
	case "agent.devmode":
		p.DevMode, err = flag(value)
	case "agent.emulated":
		p.Emulated, err = flag(value)
	default:
		err = fmt.Errorf("this agent does not know it")
	}
	return err
}

func level(value string) (slog.Level, error) {
	switch value {
	case "trace", "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "critical":
		return slog.LevelError, nil
	}
	return slog.LevelInfo, fmt.Errorf("the level is one of trace, debug, info, warn, error, critical")
}

// flag reads a switch, on when it has no value.
func flag(value string) (bool, error) {
	if value == "" {
		return true, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("the value is true or false")
	}
	return on, nil
}

func port(value string) (uint32, error) {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("the value is a port number")
	}
	return uint32(n), nil
}

func seconds(value string) (time.Duration, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n == 0 {
		return DefaultParameters().HotplugTimeout, fmt.Errorf("the value is a positive number of seconds")
	}
	return time.Duration(n) * time.Second, nil
}

func size(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("the value is a number of bytes")
	}
	return int(n), nil
}
