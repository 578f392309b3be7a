// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// FileName is the name of the report in a bundle.
const FileName = "failure.json"

// maxFile bounds a report that is read, in bytes.
const maxFile = 256 << 10

// form is that of the file.
type form struct {
	Pod       string    `json:"pod"`
	Namespace string    `json:"namespace,omitempty"`
	Step      string    `json:"step"`
	Code      Code      `json:"code"`
	Meaning   string    `json:"meaning"`
	Cause     string    `json:"cause"`
	Remedy    string    `json:"remedy"`
	Console   string    `json:"console,omitempty"`
	VMMLog    string    `json:"vmm_log,omitempty"`
	At        time.Time `json:"at"`
}

// Write replaces the file at path, so that a reader sees all of it or nothing. Its
// directory has to be there.
func (r *Report) Write(path string) error {
	about, said := Explain(r.Code), r.texts()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(form{
		Pod: r.Pod, Namespace: r.Namespace, Step: r.Step, Code: r.Code, Meaning: about.Meaning, Remedy: about.Remedy,
		Cause: said.cause, Console: said.console, VMMLog: said.log, At: r.At,
	})
	if err != nil {
		return fmt.Errorf("encode the failure report %s: %w", path, err)
	}
	temporary := path + ".new"
	if err = os.WriteFile(temporary, text.Bytes(), 0o600); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return fmt.Errorf("write the failure report: %w", errors.Join(err, remove(temporary)))
	}
	return nil
}

// remove removes a file that may be gone.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Read reads a report. Its texts are cleaned once more: whoever could write the file
// may have been somebody else.
func Read(path string) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the failure report: %w", err)
	}
	defer f.Close() // read only: nothing to lose
	var have form
	if err := json.NewDecoder(io.LimitReader(f, maxFile)).Decode(&have); err != nil {
		return nil, fmt.Errorf("the failure report %s is not valid: %w", path, err)
	}
	return &Report{
		Pod: oneLine(have.Pod, lineTail), Namespace: oneLine(have.Namespace, lineTail), Step: oneLine(have.Step, lineTail),
		Code: Code(oneLine(string(have.Code), lineTail)), Cause: errors.New(headLine(have.Cause, fileText)),
		Console: Clean(have.Console, fileText), VMMLog: Clean(have.VMMLog, fileText), At: have.At,
	}, nil
}

// record is where the report of a pod is kept in a directory of records. A report
// whose pod is not known has no place in it.
func record(dir, namespace, pod string) string {
	return filepath.Join(dir, pod+"@"+namespace+".json")
}
