// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/timeouts"
)

// RuntimeName is the name under which users ask for this runtime.
const RuntimeName = "io.containerd.kata.v2"

// Binary is the whole of the shim's binary.
type Binary struct {
	// Version is that of the build.
	Version string
	// Cleanup does the delete action's work.
	Cleanup CleanupFunc
	// Serve serves a pod until it is over; the working directory is the bundle.
	Serve func(ctx context.Context, inv Invocation) error
}

// Run answers the command line, or serves. Stdout gets the answer and nothing
// else.
func (b Binary) Run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 2 && args[0] == CleanupCommand {
		return b.Cleanup(ctx, args[1])
	}
	inv, err := ParseArgs(args)
	if err != nil {
		return err
	}
	switch {
	case inv.Version:
		_, err = fmt.Fprintf(stdout, "%s %s\n", RuntimeName, b.Version)
	case inv.Info:
		err = b.info(stdin, stdout)
	case inv.Action == ActionStart:
		err = Start(inv, stdin, stdout)
	case inv.Action == ActionDelete:
		err = b.delete(ctx, inv, stdout)
	case inv.Action == "":
		if err = inv.validate(); err == nil {
			err = b.Serve(ctx, inv)
		}
	default:
		err = fmt.Errorf("there is no action %q; known are %s and %s", inv.Action, ActionStart, ActionDelete)
	}
	return err
}

func (b Binary) info(stdin io.Reader, stdout io.Writer) error {
	info, err := Info(stdin, b.Version)
	if err != nil {
		return err
	}
	return write(stdout, info)
}

func (b Binary) delete(ctx context.Context, inv Invocation, stdout io.Writer) error {
	if err := inv.validate(); err != nil {
		return err
	}
	dir := inv.Bundle
	if dir == "" {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return fmt.Errorf("find the bundle: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.Delete)
	defer cancel()
	exit, err := Delete(ctx, dir, inv.ID, b.Cleanup.inTime(os.Stderr))
	if err != nil {
		return err
	}
	all := claims{claimsDir}
	if err := errors.Join(all.removeDead(ctx, socketName(inv.Address, inv.Namespace, inv.ID)), all.sweep()); err != nil {
		fmt.Fprintf(os.Stderr, "the next pod that ends tries again: %v\n", err)
	}
	return write(stdout, exit)
}

func write(stdout io.Writer, answer proto.Message) error {
	encoded, err := proto.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	if _, err := stdout.Write(encoded); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
