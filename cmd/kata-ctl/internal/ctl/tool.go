// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"

	"github.com/katapod/katapod/sandbox/config"
)

// Exit codes of the program.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Tool is the program without its process.
type Tool struct {
	// Version is that of the build.
	Version string
	// Out takes what was asked for, Err everything else.
	Out, Err io.Writer
	// Pods boots the VM of the check.
	Pods Pods
	// Program is started, with [template.Command], to make templates.
	Program string
}

// command is one subcommand. It gets its flags parsed.
type command struct {
	name, arguments, summary string
	run                      func(t Tool, ctx context.Context, f flags) error
}

func commands() []command {
	return []command{
		{"check", "", "boot a VM as a pod would and ask its agent; exit 0 only if it answers", Tool.check},
		{"env", "", "show what pods on this host run with, and why", Tool.env},
		{"failure", "[<sandbox id>]", "show why a pod failed, or list the last that did", Tool.failure},
		{"sandboxes", "", "list the pods that have state on this host", Tool.sandboxes},
		{"template", "[list|make|check|remove <key>|remove all]", "show, make, check or remove the saved VMs that pods start from", Tool.template},
		{"timeline", "<sandbox id>", "show how long each step of a pod's start took", Tool.timeline},
		{"version", "", "show the version", Tool.version},
	}
}

// flags are those of every subcommand, and what follows them.
type flags struct {
	config string
	json   bool
	rest   []string
}

// load reads the configuration that -config names, or a shim's default one.
func (f flags) load() (config.Config, error) {
	path, err := config.Find("", f.config)
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(path)
}

// Run executes one command line and returns the exit code.
func (t Tool) Run(ctx context.Context, args []string) int {
	_ = log.SetLevel("error") // what commands report goes to Out
	if len(args) == 0 {
		t.usage()
		return exitUsage
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return t.execute(ctx, c, args[1:])
		}
	}
	t.usage()
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return exitOK
	}
	fmt.Fprintf(t.Err, "\nkata-ctl: there is no command %q\n", args[0])
	return exitUsage
}

func (t Tool) execute(ctx context.Context, c command, args []string) int {
	set := flag.NewFlagSet("kata-ctl "+c.name, flag.ContinueOnError)
	set.SetOutput(t.Err)
	var f flags
	set.StringVar(&f.config, "config", "", "configuration `file`; default: as a pod without annotations finds it")
	set.BoolVar(&f.json, "json", false, "answer in JSON")
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	f.rest = set.Args()
	err := c.run(t, ctx, f)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(t.Err, "kata-ctl %s: %v\n", c.name, err)
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailure
}

// errUsage marks a command line that lacks something.
var errUsage = fmt.Errorf("see kata-ctl help: %w", errdefs.ErrInvalidArgument)

func (t Tool) usage() {
	fmt.Fprint(t.Err, "kata-ctl looks at this host and at the pods on it.\n\nusage: kata-ctl <command> [-config FILE] [-json]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(t.Err, "  %-24s %s\n", c.name+" "+c.arguments, c.summary)
	}
}

func (t Tool) version(_ context.Context, f flags) error {
	if f.json {
		return t.writeJSON(struct {
			Version string `json:"version"`
		}{t.Version})
	}
	fmt.Fprintln(t.Out, "kata-ctl", t.Version)
	return nil
}

func (t Tool) writeJSON(v any) error {
	encoder := json.NewEncoder(t.Out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
