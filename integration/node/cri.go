// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/containerd/errdefs"
)

// Pod describes a pod to crictl. Zero values are CRI's defaults.
type Pod struct {
	Name        string
	Handler     string // CRI runtime handler; empty is containerd's default, runc
	Annotations map[string]string
	Ports       []Port
	HostNetwork bool // in the node's network namespace
	Privileged  bool // may have privileged containers
	SharePID    bool // one PID namespace for all containers
	Hostname    string
	Sysctls     map[string]string
	CPUQuota    int64 // microseconds of each period of 100000
	Memory      int64 // bytes
}

// Port maps a port of the node to one of the pod.
type Port struct {
	ContainerPort int `json:"container_port"`
	HostPort      int `json:"host_port"`
}

// Container describes a container of a pod to crictl.
type Container struct {
	Name        string
	Image       string
	Args        []string // the command and its arguments
	Env         map[string]string
	Cwd         string
	Annotations map[string]string
	Mounts      []Mount
	TTY         bool
	Stdin       bool
	StdinOnce   bool           // the end of the first attached client's input is the end of the container's
	Linux       map[string]any // of CRI's LinuxContainerConfig: resources, security_context
}

// Mount binds a directory or file of the node into a container.
type Mount struct {
	ContainerPath string `json:"container_path"`
	HostPath      string `json:"host_path"`
	Readonly      bool   `json:"readonly"`
}

// Crictl runs crictl inside the node and returns what it printed.
func (n *Node) Crictl(ctx context.Context, args ...string) (string, error) {
	return n.Runner().Run(ctx, "crictl", args...)
}

// RunPod creates and starts the pod and returns its id.
func (n *Node) RunPod(ctx context.Context, p Pod) (string, error) {
	file, err := n.writePod(p)
	if err != nil {
		return "", err
	}
	args := []string{"runp"}
	if p.Handler != "" {
		args = append(args, "--runtime", p.Handler)
	}
	out, err := n.Crictl(ctx, append(args, file)...)
	return strings.TrimSpace(out), err
}

// CreateContainer creates the container in the pod, which was made from p, and returns its id.
func (n *Node) CreateContainer(ctx context.Context, pod string, p Pod, c Container) (string, error) {
	podFile, err := n.writePod(p)
	if err != nil {
		return "", err
	}
	file, err := n.writeContainer(p, c)
	if err != nil {
		return "", err
	}
	out, err := n.Crictl(ctx, "create", "--no-pull", pod, file, podFile)
	return strings.TrimSpace(out), err
}

// StartContainer creates and starts the container and returns its id.
func (n *Node) StartContainer(ctx context.Context, pod string, p Pod, c Container) (string, error) {
	id, err := n.CreateContainer(ctx, pod, p, c)
	if err != nil {
		return "", err
	}
	_, err = n.Crictl(ctx, "start", id)
	return id, err
}

// RemovePod stops and removes the pod with its containers.
func (n *Node) RemovePod(ctx context.Context, id string) error {
	if _, err := n.Crictl(ctx, "stopp", id); err != nil {
		return err
	}
	_, err := n.Crictl(ctx, "rmp", id)
	return err
}

// PodAddresses are the pod's IP addresses, the primary one first.
func (n *Node) PodAddresses(ctx context.Context, id string) ([]string, error) {
	var status struct {
		Status struct {
			Network struct {
				IP            string
				AdditionalIPs []struct{ IP string } `json:"additionalIps"`
			}
		}
	}
	if err := n.CrictlJSON(ctx, &status, "inspectp", id); err != nil {
		return nil, err
	}
	found := []string{status.Status.Network.IP}
	for _, a := range status.Status.Network.AdditionalIPs {
		found = append(found, a.IP)
	}
	return found, nil
}

// CrictlJSON runs a crictl command that prints JSON and decodes what it printed into v.
func (n *Node) CrictlJSON(ctx context.Context, v any, args ...string) error {
	out, err := n.Crictl(ctx, append([]string{args[0], "--output", "json"}, args[1:]...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("read the JSON printed by crictl %s: %w", args[0], err)
	}
	return nil
}

func (n *Node) writePod(p Pod) (string, error) {
	if p.Name == "" {
		return "", fmt.Errorf("a pod needs a name: %w", errdefs.ErrInvalidArgument)
	}
	namespaces := p.namespaces()
	linux := map[string]any{
		"cgroup_parent":    "/" + n.Name(),
		"security_context": map[string]any{"namespace_options": namespaces, "privileged": p.Privileged},
		"sysctls":          p.Sysctls,
	}
	if p.CPUQuota > 0 || p.Memory > 0 {
		linux["resources"] = map[string]any{
			"cpu_period": 100000, "cpu_quota": p.CPUQuota, "memory_limit_in_bytes": p.Memory,
		}
	}
	return n.writeJSON(p.Name+".pod.json", map[string]any{
		"metadata":      map[string]any{"name": p.Name, "namespace": "default", "uid": p.Name, "attempt": 1},
		"labels":        p.labels(),
		"hostname":      p.Hostname,
		"log_directory": n.PodLogs() + "/" + p.Name,
		"annotations":   p.Annotations,
		"port_mappings": p.Ports,
		"linux":         linux,
	})
}

// namespaces are CRI's NamespaceOption, in the numbers of its NamespaceMode: 0 of the pod, 1 of the container, 2 of
// the node. kubelet's default for PID is the container.
func (p Pod) namespaces() map[string]int {
	namespaces := map[string]int{"pid": 1}
	if p.SharePID {
		namespaces["pid"] = 0
	}
	if p.HostNetwork {
		namespaces["network"] = 2
	}
	return namespaces
}

// labels are those by which crictl shows a container's pod.
func (p Pod) labels() map[string]string {
	return map[string]string{"io.kubernetes.pod.name": p.Name, "io.kubernetes.pod.namespace": "default"}
}

func (n *Node) writeContainer(p Pod, c Container) (string, error) {
	linux := maps.Clone(c.Linux)
	if linux == nil {
		linux = map[string]any{}
	}
	security, _ := linux["security_context"].(map[string]any) // nil when the test gives none
	security = maps.Clone(security)
	if security == nil {
		security = map[string]any{}
	}
	security["namespace_options"] = p.namespaces()
	linux["security_context"] = security
	var envs []map[string]string
	for k, v := range c.Env {
		envs = append(envs, map[string]string{"key": k, "value": v})
	}
	return n.writeJSON(p.Name+"."+c.Name+".json", map[string]any{
		"metadata":    map[string]any{"name": c.Name},
		"labels":      p.labels(),
		"image":       map[string]any{"image": c.Image},
		"command":     c.Args,
		"envs":        envs,
		"working_dir": c.Cwd,
		"annotations": c.Annotations,
		"mounts":      c.Mounts,
		"tty":         c.TTY,
		"stdin":       c.Stdin,
		"stdin_once":  c.StdinOnce,
		"log_path":    c.Name + ".log",
		"linux":       linux,
	})
}

func (n *Node) writeJSON(name string, v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write a description for crictl: %w", err)
	}
	path := n.path("etc/" + name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return "", fmt.Errorf("write a description for crictl: %w", err)
	}
	return path, nil
}
