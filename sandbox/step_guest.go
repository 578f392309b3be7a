// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/storage"
)

// startGuestSandbox prepares the guest for the pod. Its calls do not need each
// other. A clone gets the pod's share first.
func (s *Sandbox) startGuestSandbox(ctx context.Context) error {
	if s.cloned() && s.share.begun {
		if err := s.plugShare(ctx); err != nil {
			return failure.With(classify(StepShare, err), err)
		}
	}
	agent := s.guest()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.createInGuest(ctx, agent) })
	group.Go(func() error { return agent.learnFeatures(ctx) })
	group.Go(func() error {
		if s.cloned() {
			return nil // see renew
		}
		// A guest whose clock or entropy the host cannot set works with what its
		// devices give it, so these are worth a warning each.
		if err := agent.setClock(ctx, timeouts.Query, time.Now()); err != nil && ctx.Err() == nil {
			s.log.WithError(err).Warn("the guest keeps the time of its RTC")
		}
		if err := agent.addEntropy(ctx, timeouts.Query); err != nil && ctx.Err() == nil {
			s.log.WithError(err).Warn("the guest has only the entropy of its devices")
		}
		return nil
	})
	return group.Wait()
}

// createInGuest makes the pod's namespaces, share and /dev/shm.
func (s *Sandbox) createInGuest(ctx context.Context, agent *agentClient) error {
	_, err := ask(ctx, agent, "create the sandbox in the guest", timeouts.Request, agent.service.CreateSandbox, &agentpb.CreateSandboxRequest{
		SandboxId:     s.options.ID,
		Hostname:      s.options.hostname(),
		Dns:           s.options.DNS,
		SandboxPidns:  s.options.SharedPIDNS,
		Storages:      s.sandboxStorages(),
		KernelModules: kernelModules(s.options.Config.Agent.KernelModules),
	})
	return err
}

// sandboxStorages are what all containers of the pod have in common.
func (s *Sandbox) sandboxStorages() []*agentpb.Storage {
	storages := []*agentpb.Storage{{
		Driver: "ephemeral", Source: "shm", Fstype: "tmpfs", MountPoint: storage.ShmPath,
		Options: []string{"noexec", "nosuid", "nodev", "mode=1777", fmt.Sprintf("size=%d", s.options.shmSize())},
	}}
	if s.share.inVM {
		storages = append([]*agentpb.Storage{guestShare()}, storages...)
	}
	return storages
}

// guestShare has the agent mount the share, unless it did.
func guestShare() *agentpb.Storage {
	return &agentpb.Storage{
		Driver: "virtio-fs", Source: storage.ShareTag, Fstype: "virtiofs", MountPoint: storage.ShareMount, Shared: true,
	}
}

// kernelModules splits lines "name key=value ...".
func kernelModules(lines []string) []*agentpb.KernelModule {
	var modules []*agentpb.KernelModule
	for _, line := range lines {
		if words := strings.Fields(line); len(words) > 0 {
			modules = append(modules, &agentpb.KernelModule{Name: words[0], Parameters: words[1:]})
		}
	}
	return modules
}

// learnFeatures asks what the agent can do beyond the protocol.
func (a *agentClient) learnFeatures(ctx context.Context) error {
	details, err := ask(ctx, a, "ask for the guest's details", timeouts.Request, a.service.GetGuestDetails,
		&agentpb.GuestDetailsRequest{MemBlockSize: true})
	if err != nil {
		return err
	}
	a.features = details.GetAgentDetails().GetExtraFeatures()
	a.memoryBlock = details.GetMemBlockSizeBytes()
	return nil
}

// setClock sets the guest's wall clock.
func (a *agentClient) setClock(ctx context.Context, timeout time.Duration, now time.Time) error {
	_, err := ask(ctx, a, "set the guest's clock", timeout, a.service.SetGuestDateTime,
		&agentpb.SetGuestDateTimeRequest{Sec: now.Unix(), Usec: int64(now.Nanosecond() / 1000)})
	return err
}

// entropyBytes is what the kernel's pool takes in: 256 bits twice over.
const entropyBytes = 64

// addEntropy mixes random bytes of the host into the guest's pool.
func (a *agentClient) addEntropy(ctx context.Context, timeout time.Duration) error {
	seed := make([]byte, entropyBytes)
	_, _ = rand.Read(seed) // never fails: crypto/rand ends the program instead
	_, err := ask(ctx, a, "add to the guest's entropy", timeout, a.service.ReseedRandomDev, &agentpb.ReseedRandomDevRequest{Data: seed})
	return err
}
