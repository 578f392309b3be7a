// SPDX-License-Identifier: Apache-2.0

package failure

// Code names a kind of failure. Codes are stable: they appear in the events of pods,
// and programs compare them.
type Code string

// The codes. What they mean is in [Explain]; docs/errors.md shows all of it.
const (
	ConfigInvalid       Code = "config-invalid"
	Unsupported         Code = "unsupported"
	TooLarge            Code = "too-large"
	KernelMissing       Code = "kernel-missing"
	KernelCorrupt       Code = "kernel-corrupt"
	ImageMissing        Code = "image-missing"
	ImageCorrupt        Code = "image-corrupt"
	VMMMissing          Code = "vmm-missing"
	VMMFailed           Code = "vmm-failed"
	VMMDied             Code = "vmm-died"
	AcceleratorUnusable Code = "accelerator-unusable"
	HostOOM             Code = "host-oom"
	HostExhausted       Code = "host-exhausted"
	StateDirFailed      Code = "state-dir-failed"
	CgroupFailed        Code = "cgroup-failed"
	VirtiofsdMissing    Code = "virtiofsd-missing"
	VirtiofsdDied       Code = "virtiofsd-died"
	ShareFailed         Code = "share-failed"
	NetworkUnsupported  Code = "network-unsupported"
	NetworkFailed       Code = "network-failed"
	GuestPanicked       Code = "guest-panicked"
	GuestHangs          Code = "guest-hangs"
	GuestHostile        Code = "guest-hostile"
	AgentTimeout        Code = "agent-timeout"
	AgentLost           Code = "agent-lost"
	AgentFailed         Code = "agent-failed"
	Cancelled           Code = "cancelled"
	Stopped             Code = "stopped"
	Internal            Code = "internal"
)

// Explanation is what people want to know of a code, each a half sentence.
type Explanation struct {
	Code Code
	// Meaning says what happened, Causes what it usually comes from, and Remedy what
	// to do about it.
	Meaning, Causes, Remedy string
}

// Explain explains a code; one that is not in the set has an empty explanation.
func Explain(c Code) Explanation {
	for _, e := range All() {
		if e.Code == c {
			return e
		}
	}
	return Explanation{Code: c}
}

// Remedy is what a person can do; empty for a code that is not in the set.
func (c Code) Remedy() string { return Explain(c).Remedy }

// All explains every code, those that come first in a pod's life first.
func All() []Explanation {
	return append(append(hostCodes(), guestCodes()...),
		Explanation{Cancelled, "the engine gave the start up before it had ended",
			"its deadline (kubelet's runtime-request-timeout, two minutes), a restart of the engine, a client that went",
			"create the pod again; where starts are slow, see `kata-ctl timeline` for the step that takes long"},
		Explanation{Stopped, "the pod was stopped while it started",
			"somebody deleted it meanwhile",
			"nothing is wrong; create it again if it is wanted"},
		Explanation{Internal, "something failed that has no code of its own",
			"a mistake in this runtime, or a host in a state that it does not know",
			"report this with the runtime's log"},
	)
}
