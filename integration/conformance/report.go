// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Report is the outcome of a run of a suite.
type Report struct {
	Passed  []string
	Failed  []Failure
	Skipped []string      // the specs that skipped themselves, and those that were not selected
	Elapsed time.Duration // the sum of the specs' own times
}

// Failure is a spec that did not pass.
type Failure struct {
	Spec    string
	Message string
}

// Read reads a JUnit report as Ginkgo writes it. Names lose Ginkgo's mark for an ordinary spec and every label.
func Read(report io.Reader) (Report, error) {
	var suites struct {
		Cases []struct {
			Name    string  `xml:"name,attr"`
			Status  string  `xml:"status,attr"`
			Seconds float64 `xml:"time,attr"`
			Failure struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
			Error struct {
				Message string `xml:"message,attr"`
			} `xml:"error"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.NewDecoder(report).Decode(&suites); err != nil {
		return Report{}, fmt.Errorf("read the suite's report: %w", err)
	}
	var r Report
	for _, c := range suites.Cases {
		spec, ordinary := strings.CutPrefix(c.Name, "[It] ")
		switch c.Status {
		case "skipped", "pending":
			r.Skipped = append(r.Skipped, spec)
			continue
		case "passed":
			if ordinary { // and not a step before or after the suite
				r.Passed = append(r.Passed, spec)
			}
		default:
			r.Failed = append(r.Failed, Failure{Spec: spec, Message: c.Failure.Message + c.Error.Message})
		}
		r.Elapsed += time.Duration(c.Seconds * float64(time.Second))
	}
	return r, nil
}
