// SPDX-License-Identifier: Apache-2.0

// Package ctl holds the subcommands of kata-ctl.
package ctl
