// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/failure"
)

// obituary is what the shim says of a pod that died, or did not start.
type obituary struct{ line, code string }

var codeInLog = regexp.MustCompile(`\[([a-z]+(?:-[a-z]+)*)\]`)

// obituaries are those of a pod in the log.
func obituaries(log, pod string) (found []obituary) {
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		died := strings.Contains(line, `msg="the pod died"`) || strings.Contains(line, `msg="the pod did not start"`)
		if !died || pod == "" || !strings.Contains(line+" ", " sandbox="+pod+" ") {
			continue
		}
		o := obituary{line: line}
		if code := codeInLog.FindStringSubmatch(line); code != nil {
			o.code = code[1]
		}
		found = append(found, o)
	}
	return found
}

// judgeCause looks at the cause that the shim gave, in the log and in the report that stays: a pod has one death, and
// its cause is the fault. A pod that was struck dead while its shim lives has to have one.
func (c *cycle) judgeCause() {
	told := obituaries(c.awaitCause(), c.id())
	switch {
	case len(told) == 0 && c.mustTell():
		c.wrong("the log names no cause of the death")
		return
	case len(told) == 0:
		return
	case len(told) > 1:
		c.wrong("it died %d times: %s", len(told), told[1].line)
	case !c.plan.explains(told[0].code):
		c.wrong("the log names another cause: %s", told[0].line)
	}
	code, err := c.reportedCode()
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.plan.fault.effect == refuses: // there was no room, or no descriptor, for it
	case err != nil:
		c.wrong("%v", err)
	case code != told[0].code:
		c.wrong("the report of the failure says %s, and the log: %s", code, told[0].line)
	}
}

// explains tells whether a code may be the cause of a death by the plan's fault. An engine that died has given up what
// it waited for, and one that stops a pod may do so before the fault is felt.
func (p plan) explains(code string) bool {
	switch {
	case slices.Contains(p.fault.codes, code):
		return true
	case code == string(failure.Cancelled):
		return p.fault.effect == crashes
	case code == string(failure.Stopped):
		return stopping(p.point) && p.fault.effect != passes
	}
	return false
}

// mustTell tells whether the shim has lived to tell of the pod's death.
func (c *cycle) mustTell() bool {
	f := c.plan.fault
	return f.effect == deadly && len(f.codes) > 0 && c.dead() && !stopping(c.plan.point)
}

// awaitCause is the log of the cycle, once the cause is in it, or has had the time to be.
func (c *cycle) awaitCause() string {
	for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
		log := c.log.text()
		if !c.mustTell() || len(obituaries(log, c.id())) > 0 || time.Since(began) > c.stalls.allow(causeLimit, began) {
			return log
		}
	}
}

// causeLimit is how long after the pod reads as ended its cause may be missing in the log: the shim waits for the end
// of the VMM, which tells more.
const causeLimit = timeouts.Cause + 2*time.Second

// reportedCode is the code in the pod's report of its failure, which comes right behind the line in the log.
func (c *cycle) reportedCode() (string, error) {
	path := filepath.Join(c.reports, c.id()+"@"+c.namespace()+".json")
	for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && time.Since(began) < c.stalls.allow(time.Second, began) {
			continue
		}
		var report struct{ Code string }
		if err == nil {
			err = json.Unmarshal(text, &report)
		}
		if err != nil {
			return "", fmt.Errorf("read the report of the pod's failure: %w", err)
		}
		return report.Code, nil
	}
}
