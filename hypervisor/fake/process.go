// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"fmt"
	"os/exec"
	"syscall"
)

// process stands for the VMM's. It waits for the end of its input, so that it
// goes away with the test process whatever happens to that.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	how  string
}

func startProcess() (*process, error) {
	p := &process{cmd: exec.Command("cat"), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	_, err := p.cmd.StdinPipe() // Closed by Wait.
	if err != nil {
		return nil, fmt.Errorf("make the input of the fake VMM: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the fake VMM: %w", err)
	}
	// It ends with the process, which kill sees to.
	go func() {
		defer close(p.done)
		p.how = "exit status 0"
		if err := p.cmd.Wait(); err != nil {
			p.how = err.Error()
		}
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill asks for the end; wait tells when it has come.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

func (p *process) wait() string {
	<-p.done
	return p.how
}
