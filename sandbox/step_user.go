// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/ledger"
)

// claimUser takes a user of the configured range, for the pod's VMM alone. A claim
// is a symbolic link, named after the user, to the state directory of the pod that has
// it: the kernel makes it at once or not at all, and the ledger takes back the pod's
// own only. Processes are recorded after it, so that they end before it is given back.
func (s *Sandbox) claimUser(ctx context.Context) error {
	users := s.options.Config.Hypervisor.Users()
	dir := s.drivers.UserClaims
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("make the directory of VMMs' users: %w", err)
	}
	// The first is the builders' of templates. Where to begin is the pod's own, so that
	// pods that start together do not try the same.
	first, count := users.First+1, users.Last-users.First
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(s.dirs.state)) // It never fails.
	begin := int(sum.Sum32()) % count
	for i := range count {
		user := first + (begin+i)%count
		what := userOf(filepath.Join(dir, strconv.Itoa(user)), s.dirs.state)
		err := s.resources.acquire(ctx, what, func() error { return os.Symlink(what.Args[1], what.Args[0]) })
		if errors.Is(err, fs.ErrExist) {
			continue // Another pod's.
		}
		if err != nil {
			return fmt.Errorf("take a user for the VMM: %w", err)
		}
		s.parts.with(func(p *parts) { p.user, p.userClaim = user, what })
		return nil
	}
	return fmt.Errorf("take a user for the VMM: pods have all of %s, see %s; give \"vmm_users\" a larger range: %w",
		users, dir, errdefs.ErrResourceExhausted)
}

// releaseUser undoes claimUser.
func (s *Sandbox) releaseUser(ctx context.Context) error {
	var what ledger.Resource
	s.parts.with(func(p *parts) { what = p.userClaim })
	if what.Kind == "" {
		return nil
	}
	return s.resources.release(ctx, what)
}

// user is whom the VMM runs as; 0 before it is known.
func (s *Sandbox) user() (user int) {
	s.parts.with(func(p *parts) { user = p.user })
	return user
}

// removeClaim undoes the claim at path if it is owner's.
func removeClaim(path, owner string) error {
	has, err := os.Readlink(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && has != owner {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the claim of a user: %w", err)
	}
	return removeFile(path)
}

func userOf(path, owner string) ledger.Resource {
	return ledger.Resource{Kind: ledger.User, Args: []string{path, owner}}
}

// builderUser is whom VMMs run as that are to be saved: one at a time, with nothing of
// any pod in them.
func builderUser(c config.Config) int { return c.Hypervisor.Users().First }
