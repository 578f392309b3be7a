// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"os"
	"time"
)

// quietOutput is how long an output that outlives its process may be empty
// before its stream ends: a child of the process may hold it for ever. What the
// process itself wrote is read by then, however slow the host is: the time counts
// only while there is nothing to read.
const quietOutput = time.Second

// errSettled says that the process has ended and its output stands still.
var errSettled = errors.New("the process has ended and nothing more comes")

// settle is called when the process has ended: from now on next gives up after
// quiet without a byte.
func (o *output) settle(quiet time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.patient {
		return
	}
	o.quiet = quiet
	_ = o.file.SetReadDeadline(time.Unix(1, 0)) // a read that waits begins anew
}

// unsettle makes every read wait again, for good.
func (o *output) unsettle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.quiet, o.patient = 0, true
	_ = o.file.SetReadDeadline(time.Time{})
}

// next reads as the file's Read does, until the output has settled: then the
// error is errSettled.
func (o *output) next(p []byte) (int, error) {
	for {
		settled := o.arm()
		n, err := o.file.Read(p)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if settled {
			return n, errSettled
		}
	}
}

// arm gives the next read its time, if the process has ended. The time begins
// anew with each read, since a file tells of a time that is over before it looks
// for bytes.
func (o *output) arm() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.quiet > 0 {
		_ = o.file.SetReadDeadline(time.Now().Add(o.quiet))
	}
	return o.quiet > 0
}
