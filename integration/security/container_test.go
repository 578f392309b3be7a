// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// restrict starts a container with as little as CRI can leave it.
func restrict(ctx context.Context, t *testing.T) string {
	t.Helper()
	return start(ctx, t, "restricted", map[string]any{
		"resources": map[string]any{"unified": map[string]string{"pids.max": "12"}},
		"security_context": map[string]any{
			"no_new_privs": true, "seccomp": map[string]any{"profile_type": 0},
			"capabilities": map[string]any{"drop_capabilities": []string{"ALL"}},
			"masked_paths": []string{"/proc/keys", "/etc/passwd", "/sys/kernel"}, "readonly_paths": []string{"/proc/sys", "/tmp"},
		},
	})
}

// secured starts a container with a security context.
func secured(ctx context.Context, t *testing.T, name string, security map[string]any) string {
	t.Helper()
	return start(ctx, t, name, map[string]any{"security_context": security})
}

// start starts a container in pod b for the time of the test.
func start(ctx context.Context, t *testing.T, name string, linux map[string]any) string {
	t.Helper()
	id, err := shared.StartContainer(ctx, shared.b.id, shared.b.spec, node.Container{
		Name: name, Image: images.Busybox, Args: []string{"probe", "pause"}, Linux: linux,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		if _, err := shared.Crictl(clean, "rm", "--force", id); err != nil {
			t.Error(err)
		}
	})
	return id
}

// Each setting of a container is broken where it holds, and the same is done in a privileged container to see that
// it is the setting which forbids it.
func TestSettingsHold(t *testing.T) {
	ctx := begin(t)
	restricted := restrict(ctx, t)
	const addKey = "248" // the system call, on x86-64
	for _, c := range []struct{ name, script, holds, free string }{
		{"seccomp", "probe try call:" + addKey, "EPERM", "EINVAL"},
		{"seccomp filters", "grep Seccomp: /proc/self/status", "\t2", "\t0"},
		{"capability to change owners", "probe try chown:/dev/shm", "EPERM", "ok"},
		{"capability to make devices", "probe try device:/dev/shm/d; rm -f /dev/shm/d", "EPERM", "ok"},
		{"capability for raw sockets", "probe try socket:raw", "EPERM", "ok"},
		{"capability to mount", "probe try mount:/dev/shm; umount /dev/shm 2>/dev/null", "EPERM", "ok"},
		{"no new privileges", "grep NoNewPrivs /proc/self/status", "\t1", "\t0"},
		// An exec has settings of its own, which engines copy: those of the container itself are its first process's.
		{"capabilities of the first process", "grep CapBnd /proc/1/status", "\t0000000000000000", "\t000001ff"},
		{"effective ones", "grep CapEff /proc/1/status", "\t0000000000000000", "\t000001ff"},
		{"no new privileges of the first process", "grep NoNewPrivs /proc/1/status", "\t1", "\t0"},
		{"seccomp filters of the first process", "grep Seccomp: /proc/1/status", "\t2", "\t0"},
		{"masked file", "grep -q root /etc/passwd && echo SHOWN || echo MASKED", "MASKED", "SHOWN"},
		{"masked directory", "ls /sys/kernel | grep -q . && echo SHOWN || echo MASKED", "MASKED", "SHOWN"},
		{"read-only path", "probe try create:/tmp/x", "EROFS", "ok"},
		{"read-only sysctl", "probe try write:/proc/sys/kernel/domainname", "EROFS", "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := shIn(ctx, t, restricted, c.script); !strings.Contains(got, c.holds) {
				t.Errorf("where it is forbidden: %q, want %q", got, c.holds)
			}
			if got := shared.a.sh(ctx, t, c.script); !strings.Contains(got, c.free) {
				t.Errorf("where it is allowed: %q, want %q", got, c.free)
			}
		})
	}
}

// More processes than the limit are not to be had.
func TestPIDsLimitHolds(t *testing.T) {
	ctx := begin(t)
	id := restrict(ctx, t)
	res, err := shared.Runner().Try(ctx, "crictl", "exec", id, "sh", "-c", "for i in $(seq 30); do sleep 1 & done; wait; echo ALL")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(res.Stdout+res.Stderr, "fork") || strings.Contains(res.Stdout, "ALL") {
		t.Errorf("30 processes where 12 may be: %q, %q", res.Stdout, res.Stderr)
	}
}

// A container that may make devices cannot open those that it was not given, a privileged one neither: CRI's
// privileged_without_host_devices leaves it the usual ones.
func TestDeviceRulesHold(t *testing.T) {
	ctx := begin(t)
	const script = `set -- $(cat /sys/class/block/vda/dev | tr : ' '); mknod /dev/shm/disk b $1 $2; probe try read:/dev/shm/disk; rm -f /dev/shm/disk`
	for _, p := range []*pod{shared.a, shared.b} {
		if got := p.sh(ctx, t, script); !strings.Contains(got, "EPERM") {
			t.Errorf("the guest's disk is read in %s: %q", p.spec.Name, got)
		}
		if got := p.sh(ctx, t, "mknod /dev/shm/null c 1 3; probe try read:/dev/shm/null; rm -f /dev/shm/null"); !strings.Contains(got, "ok") {
			t.Errorf("what every container has is not read in %s: %q", p.spec.Name, got)
		}
	}
}

// Without no_new_privs a set-user-id program raises, with it it does not.
func TestNoNewPrivilegesHolds(t *testing.T) {
	ctx := begin(t)
	const script = "cp /bin/probe /raise && chmod 4755 /raise; probe as 1000 /raise euid; rm -f /raise"
	if got := shared.b.sh(ctx, t, script); got != "Effective uid: 0\n" {
		t.Errorf("a set-user-id program does not raise: %q", got)
	}
	id := secured(ctx, t, "raising", map[string]any{"no_new_privs": true})
	if got := shIn(ctx, t, id, script); got != "Effective uid: 1000\n" {
		t.Errorf("a set-user-id program raises: %q", got)
	}
}

// The user is the one that was asked for.
func TestUserHolds(t *testing.T) {
	ctx := begin(t)
	id := secured(ctx, t, "user", map[string]any{
		"run_as_user": map[string]any{"value": 1000}, "run_as_group": map[string]any{"value": 2000}, "no_new_privs": true,
	})
	if got := shIn(ctx, t, id, "id -u; id -g; awk '/^[UG]id/ {print $2, $3}' /proc/1/status; probe try setuid:0 read:/root/x create:/x"); !strings.HasPrefix(got, "1000\n2000\n1000 1000\n2000 2000\n") || strings.Contains(got, " ok") {
		t.Errorf("user 1000 says %q", got)
	}
	if got := shared.b.sh(ctx, t, "id -u; probe try setuid:0 create:/x; rm -f /x"); !strings.HasPrefix(got, "0\n") || strings.Count(got, " ok") != 2 {
		t.Errorf("user 0 says %q", got)
	}
}

// What cannot be honoured is refused or reported, never dropped in silence.
func TestProfilesAreReported(t *testing.T) {
	ctx := begin(t)
	out, err := shared.Ctr(ctx, "run", "--rm", "--runtime", "io.containerd.kata.v2", "--apparmor-profile", "sec-profile", images.Busybox, "sec-apparmor", "true")
	if err != nil {
		if !strings.Contains(err.Error(), "apparmor") && !strings.Contains(strings.ToLower(err.Error()), "profile") {
			t.Errorf("an AppArmor profile is refused without being named: %v", err)
		}
		return
	}
	log, err := os.ReadFile(shared.Log())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "sec-profile") || !strings.Contains(string(log), "is dropped") {
		t.Errorf("an AppArmor profile was dropped in silence: %s", out)
	}
}
