// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	_ "embed"
	"path/filepath"
	"testing"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/node"
)

var (
	//go:embed version2.toml.tmpl
	version2 string
	//go:embed version3.toml.tmpl
	version3 string
)

// release is a version of containerd.
type release struct {
	node         string      // name of the node it runs on
	says         string      // what `containerd --version` has to contain
	debian       node.Debian // where it comes from; without packages it is package node's own, built from source
	config       string      // template of its configuration; empty is package node's
	more         string      // what is added to the configuration
	task         int         // version of the Task API that the shim has to offer it
	snapshotters []string
}

// moment is when the snapshot archive had every Debian package that is named here.
const moment = "20261120T000000Z"

func releases() map[string]release {
	return map[string]release{
		"1.7": {
			node: "kpnode-ctd17", says: "1.7.24", config: version2, task: 2,
			debian:       debian("trixie", "1.7.24~ds1-6+deb13u1", "ed708deb96fe476a3bce4efa5c0538dfbcf717ab9a7c7944ba7260342c25899c"),
			snapshotters: []string{"overlayfs", "native", "blockfile"},
		},
		"2.1": {
			node: "kpnode-ctd21", says: "2.1.9", config: version3, task: 2,
			debian:       debian("sid", "2.1.9+ds1-5", "2dda86ce7033fd612fc50e136679d8174ccad680eb29cd4611e0d2a1b84cf591"),
			snapshotters: []string{"overlayfs", "erofs"},
		},
		"2.4": {
			node: "kpnode-ctd24", says: "v2.4.2", task: 3,
			snapshotters: []string{"overlayfs", "native", "blockfile", "erofs"},
		},
	}
}

// debian is containerd's package on amd64.
func debian(suite, version, sum string) node.Debian {
	return node.Debian{
		Suite: suite, Moment: moment,
		Packages: []node.DebianPackage{{Name: "containerd", Version: version, SHA256: sum}},
	}
}

// start starts a node with this containerd for the test and those below it.
func (r release) start(t *testing.T) *engine.Engine {
	t.Helper()
	engine.Require(t)
	options := node.Options{Name: r.node, Config: r.config, MoreConfig: r.more}
	if len(r.debian.Packages) > 0 {
		options.Programs = filepath.Join(engine.Unpack(t, r.debian), "usr/bin")
	}
	return engine.Start(t, options)
}
