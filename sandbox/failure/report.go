// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// StepRunning is the step of a pod that was up when it died.
const StepRunning = "running"

// StepConfigure is the step before there is a pod: reading what it is to be.
const StepConfigure = "configure"

// Bounds in bytes. A line ends in the event of a pod, and engines cut those; a file
// is read by people.
const (
	lineCause = 512
	lineTail  = 240
	fileText  = 8 << 10
)

// Report is why a pod did not start, or died. It is an error, whose text is one
// line.
type Report struct {
	// Pod is the pod's id, and Namespace the engine's; Step is where it happened: the
	// name of a start-up step, StepRunning or StepConfigure.
	Pod, Namespace, Step string
	Code                 Code
	// Cause is what happened.
	Cause error
	// Console is the tail of the guest's console, VMMLog of what the VMM wrote to
	// standard error; either may be empty.
	Console, VMMLog string
	// At is when it was noticed.
	At time.Time
}

// Error is the report in one line: the step, the cause, the code, the remedy, and
// the last words of the guest and its VMM. It is at most some 2 KiB long, and
// printable whatever the guest said.
func (r *Report) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pod %s ", r.Pod)
	if r.Step == StepRunning {
		b.WriteString("died")
	} else {
		b.WriteString("did not start: step " + r.Step)
	}
	// Of what the file has, so that one who reads that says the same.
	t := r.texts()
	fmt.Fprintf(&b, ": %s [%s]; %s", headLine(t.cause, lineCause), r.Code, r.Code.Remedy())
	for _, tail := range [...]struct{ whose, text string }{{"guest's console", t.console}, {"VMM's log", t.log}} {
		if text := oneLine(tail.text, lineTail); text != "" {
			fmt.Fprintf(&b, "; the %s ends: %q", tail.whose, text)
		}
	}
	return b.String()
}

// Unwrap gives the cause.
func (r *Report) Unwrap() error { return r.Cause }

// texts are what a guest may have said, in full and fit to be shown.
type texts struct{ cause, console, log string }

func (r *Report) texts() texts {
	t := texts{console: Clean(r.Console, fileText), log: Clean(r.VMMLog, fileText)}
	if r.Cause != nil {
		t.cause = headLine(r.Cause.Error(), fileText)
	}
	return t
}

// headLine is the beginning of a text, in one line. A cause begins with what was
// tried.
func headLine(text string, limit int) string {
	if len(text) > 2*limit {
		text = text[:2*limit]
	}
	text = oneLine(text, len(text))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "..."
	}
	return text
}

// coded is an error that knows its code.
type coded struct {
	code Code
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// With gives err a code, which [CodeOf] finds; a nil error stays nil.
func With(code Code, err error) error {
	if err == nil {
		return nil
	}
	return &coded{code: code, err: err}
}

// CodeOf finds the code that was given to err.
func CodeOf(err error) (Code, bool) {
	var known *coded
	if errors.As(err, &known) {
		return known.code, true
	}
	return "", false
}
