// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"flag"
	"fmt"
	"io"
)

// Actions that containerd asks of the binary; none means to serve.
const (
	ActionStart  = "start"
	ActionDelete = "delete"
)

// Invocation is the shim's command line, as containerd's runtime v2
// documentation defines it.
type Invocation struct {
	// Namespace and ID name the container; Address is containerd's gRPC socket.
	Namespace, ID, Address string
	// Bundle is the OCI bundle, given for ActionDelete only; otherwise it is
	// the working directory.
	Bundle string
	// Debug asks for a talkative log.
	Debug bool
	// Version and Info ask a question instead of an action.
	Version, Info bool
	// Action is ActionStart, ActionDelete or empty.
	Action string
}

// ParseArgs reads the command line without the program's name. Flags of the
// server that this package does not care about are accepted.
func ParseArgs(args []string) (Invocation, error) {
	var (
		inv    Invocation
		unused string
	)
	flags := flag.NewFlagSet("containerd-shim-kata-v2", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&inv.Namespace, "namespace", "", "")
	flags.StringVar(&inv.ID, "id", "", "")
	flags.StringVar(&inv.Address, "address", "", "")
	flags.StringVar(&inv.Bundle, "bundle", "", "")
	flags.BoolVar(&inv.Debug, "debug", false, "")
	flags.BoolVar(&inv.Version, "version", false, "")
	flags.BoolVar(&inv.Version, "v", false, "")
	flags.BoolVar(&inv.Info, "info", false, "")
	for _, name := range []string{"publish-binary", "socket", "debug-socket"} {
		flags.StringVar(&unused, name, "", "")
	}
	if err := flags.Parse(args); err != nil {
		return Invocation{}, fmt.Errorf("read the shim's command line: %w", err)
	}
	inv.Action = flags.Arg(0)
	return inv, nil
}

// validate refuses a start that cannot be answered.
func (inv Invocation) validate() error {
	switch {
	case inv.Namespace == "":
		return fmt.Errorf("the flag -namespace is missing: this binary is started by containerd, see its runtime v2 documentation")
	case inv.ID == "":
		return fmt.Errorf("the flag -id is missing: this binary is started by containerd, see its runtime v2 documentation")
	}
	return nil
}
