// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Progress prints what goes on, for people: steps with their time, facts, headings. Its methods may be called from
// several goroutines. A nil Progress prints nothing.
type Progress struct {
	mu     sync.Mutex
	out    io.Writer
	colour bool
	begin  time.Time
}

// NewProgress prints to out, with colours when out is a terminal and NO_COLOR is not set.
func NewProgress(out *os.File) *Progress {
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	return &Progress{out: out, colour: err == nil && os.Getenv("NO_COLOR") == "", begin: time.Now()}
}

// Heading starts a part of the output.
func (p *Progress) Heading(format string, args ...any) {
	p.print("\n%s\n", p.paint("1;36", fmt.Sprintf(format, args...)))
}

// Fact prints a line below the step that found it.
func (p *Progress) Fact(format string, args ...any) {
	p.print("      %s\n", fmt.Sprintf(format, args...))
}

// Step runs one piece of work and prints its name with the time it took, and every five seconds that it still goes
// on. The error of the work is returned as it is.
func (p *Progress) Step(name string, work func() error) error {
	begin := time.Now()
	done := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				p.print("  %s %s (%s so far)\n", p.paint("2", "…"), name, seconds(time.Since(begin)))
			}
		}
	})
	err := work()
	close(done)
	ticking.Wait()
	mark := p.paint("32", "✓")
	if err != nil {
		mark = p.paint("31", "✗")
	}
	p.print("  %s %s %s\n", mark, name, p.paint("2", seconds(time.Since(begin))))
	return err
}

// Elapsed is the time since the Progress was made.
func (p *Progress) Elapsed() time.Duration {
	if p == nil {
		return 0
	}
	return time.Since(p.begin)
}

func (p *Progress) print(format string, args ...any) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format, args...)
}

func (p *Progress) paint(code, text string) string {
	if p == nil || !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
