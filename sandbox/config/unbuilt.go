// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// off are the values that do not ask for a feature; none at all accepts any
// value, for keys that only tune a feature that another key switches on.
type off []any

// unbuiltHypervisor are the keys of upstream's [hypervisor.qemu] whose features
// this version lacks.
func unbuiltHypervisor() map[string]off {
	no, zero, empty, none := off{false}, off{int64(0)}, off{""}, off{[]any{}}
	tuning := off(nil)
	return map[string]off{
		"rootless": {false, true}, "disable_selinux": {false, true}, "firmware": empty, "firmware_volume": empty,
		"virtio_fs_cache_size": zero, "block_device_driver": {"virtio-blk", "virtio-blk-pci", "virtio-scsi"},
		"block_device_cache_set": no, "block_device_cache_direct": no, "block_device_cache_noflush": no,
		"block_device_aio": tuning, "block_device_logical_sector_size": zero, "block_device_physical_sector_size": zero,
		"enable_hugepages": no, "enable_mem_prealloc": no, "enable_iommu": no, "enable_iommu_platform": no,
		"hot_plug_vfio": {"no-port"}, "cold_plug_vfio": {"no-port"}, "pcie_switch_port": zero, "default_bridges": tuning,
		"guest_hook_path": empty, "memory_offset": zero, "msize_9p": tuning, "disable_nesting_checks": {false, true},
		"rx_rate_limiter_max_rate": zero, "tx_rate_limiter_max_rate": zero,
		"net_rate_limiter_bw_max_rate": zero, "net_rate_limiter_bw_one_time_burst": zero,
		"net_rate_limiter_ops_max_rate": zero, "net_rate_limiter_ops_one_time_burst": zero,
		"disk_rate_limiter_bw_max_rate": zero, "disk_rate_limiter_bw_one_time_burst": zero,
		"disk_rate_limiter_ops_max_rate": zero, "disk_rate_limiter_ops_one_time_burst": zero,
		"confidential_guest": no, "sev_snp_guest": no, "snp_id_block": empty, "snp_id_auth": empty, "snp_guest_policy": tuning,
		"tdx_quote_generation_service_socket_port": zero, "measurement_algo": tuning, "kernel_verity_params": empty,
		"machine_accelerators": empty, "seccompsandbox": empty, "enable_virtio_mem": no,
		"enable_iothreads": no, "indep_iothreads": zero, "enable_vhost_user_store": no, "vhost_user_store_path": tuning,
		"valid_vhost_user_store_paths": tuning, "vhost_user_reconnect_timeout_sec": tuning,
		"enable_numa": no, "numa_mapping": none, "pflashes": none,
		"guest_memory_dump_path": empty, "guest_memory_dump_paging": tuning, "enable_guest_swap": no,
		"guest_swap_path": tuning, "guest_swap_size_percent": tuning, "guest_swap_create_threshold_secs": tuning,
		"use_legacy_serial": {false, true}, "extra_monitor_socket": empty, "disable_seccomp": no, "hypervisor_loglevel": tuning,
	}
}

// unbuiltRest are those of the other sections, by dotted key.
func unbuiltRest() map[string]off {
	no, empty, none := off{false}, off{""}, off{[]any{}}
	tuning := off(nil)
	return map[string]off{
		"agent.kata.enable_tracing": no, "agent.kata.cdh_api_timeout": tuning, "agent.kata.launch_process_timeout": tuning,
		"agent.kata.visible_cdi_devices": no, "agent.kata.container_pipe_size": tuning, "agent.kata.mem_agent_enable": no,
		"runtime.guest_selinux_label": empty, "runtime.enable_tracing": no, "runtime.jaeger_endpoint": tuning,
		"runtime.jaeger_user": tuning, "runtime.jaeger_password": tuning, "runtime.vfio_mode": tuning,
		"runtime.experimental": none, "runtime.enable_pprof": no, "runtime.dan_conf": tuning,
		"runtime.kubelet_root_dir": tuning, "runtime.pod_resource_api_sock": empty,
		"runtime.experimental_force_guest_pull": no, "runtime.enable_vcpus_pinning": no,
		"factory.vm_cache_number": {int64(0)}, "factory.vm_cache_endpoint": tuning,
	}
}

// unbuilt returns all of them by dotted key.
func unbuilt() map[string]off {
	all := unbuiltRest()
	for key, values := range unbuiltHypervisor() {
		all["hypervisor.qemu."+key] = values
	}
	return all
}

// refuse reports the first key of a file, in alphabetical order, that asks for a
// feature or a VMM that this version does not have.
func refuse(file string, keys map[string]any) error {
	known := unbuilt()
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if section, ok := foreignSection(name); ok {
			return fmt.Errorf("configuration file %s: section %s is for a VMM that this version does not support; "+
				"use [hypervisor.qemu]: %w", file, section, errdefs.ErrNotImplemented)
		}
		if values, ok := known[name]; ok && !values.include(keys[name]) {
			return fmt.Errorf("configuration file %s: %s = %#v asks for a feature that this version does not support; "+
				"remove the key: %w", file, name, keys[name], errdefs.ErrNotImplemented)
		}
	}
	return nil
}

func (o off) include(value any) bool {
	return o == nil || slices.ContainsFunc(o, func(v any) bool { return reflect.DeepEqual(v, value) })
}

// foreignSection tells whether a key belongs to another VMM.
func foreignSection(name string) (string, bool) {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 3 || parts[0] != "hypervisor" || parts[1] == "qemu" {
		return "", false
	}
	return "[hypervisor." + parts[1] + "]", true
}
