// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"os"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Registries that the images of critest are in.
const (
	endToEnd = "registry.k8s.io/e2e-test-images/"
	staging  = "gcr.io/k8s-staging-cri-tools/"
)

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// accounts that images of critest name; see the suite's images/ directory and pkg/validate/consts.go.
const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/sh\n" +
		"default-user:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
	group = "root:x:0:\nwww-data:x:33:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n" +
		"nogroup:x:65534:\n"
)

// CRITest makes the images that critest v1.36.0 asks for, by their real names, and the pause image, named pause.
// busybox is the path of a static busybox with upstream's default configuration; dir is for what is built.
//
// One image cannot be made: "public image with digest" names the digest of an image in Google's registry.
func CRITest(ctx context.Context, dir, busybox, pause string) ([]Image, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory for images: %w", err)
	}
	probe, err := buildProgram(ctx, dir, probePackage)
	if err != nil {
		return nil, err
	}
	files, err := busyboxFiles(ctx, busybox, passwd, group)
	if err != nil {
		return nil, err
	}
	other := append(append([]byte{}, probe...), 0)
	all := []Image{
		pauseImage(pause, probe),
		// Two names of one image, which has to be another than the pods' own: the suite expects exactly these.
		pauseImage("registry.k8s.io/pause:3.9", other),
		pauseImage("k8s.gcr.io/pause:3.9", other),
		shellImage(endToEnd+"busybox:1.29-2", files, v1.ImageConfig{}),
		webImage(endToEnd+"nginx:1.14-2", files, probe, "80"),
		webImage(endToEnd+"httpd:2.4.39-4", files, probe, "80"),
		webImage(staging+"hostnet-nginx-"+architecture+":latest", files, probe, "12003"),
		// The program belongs to root and has the set-user-id bit.
		shellImage(endToEnd+"nonewprivs:1.3", append(filesCopy(files), File{Path: "bin/probe", Mode: 0o6755, Data: probe}),
			v1.ImageConfig{User: "1000", Entrypoint: []string{"/bin/probe", "euid"}}),
	}
	all = append(all, pulled(files)...)
	return append(all, withUsers(files)...), nil
}

// pulled are the images of the specs about pulling: all different but the three tags of one.
func pulled(files []File) []Image {
	var all []Image
	for name, text := range map[string]string{
		"test-image-latest:latest": "latest", "test-image-tag:test": "tag", "test-image-tag:all": "all",
		"test-image-1:latest": "1", "test-image-2:latest": "2", "test-image-3:latest": "3",
		"test-image-tags:1": "tags", "test-image-tags:2": "tags", "test-image-tags:3": "tags",
	} {
		own := append(filesCopy(files), File{Path: "text", Mode: 0o644, Data: []byte(text)})
		all = append(all, shellImage(staging+name, own, v1.ImageConfig{}))
	}
	return all
}

// withUsers are the images that say who runs their process.
func withUsers(files []File) []Image {
	var all []Image
	for name, user := range map[string]string{
		"test-image-user-uid": "1002", "test-image-user-username": "www-data",
		"test-image-user-uid-group": "1003:users", "test-image-user-username-group": "www-data:www-data",
		"test-image-predefined-group": "1000",
	} {
		all = append(all, shellImage(staging+name+":latest", files, v1.ImageConfig{User: user}))
	}
	return all
}

func shellImage(name string, files []File, c v1.ImageConfig) Image {
	c.Env = []string{searchPath}
	if c.Entrypoint == nil {
		c.Cmd = []string{"sh"}
	}
	return Image{Name: name, Files: files, Config: c}
}

// webImage serves a page at the port. The specs look for a process called nginx.
func webImage(name string, files []File, probe []byte, port string) Image {
	own := append(filesCopy(files), File{Path: "bin/nginx", Mode: 0o755, Data: probe}, File{Path: "var/run/", Mode: 0o755})
	return shellImage(name, own, v1.ImageConfig{Entrypoint: []string{"/bin/nginx", "web", ":" + port}})
}

func pauseImage(name string, program []byte) Image {
	return Image{
		Name:   name,
		Files:  []File{{Path: "pause", Mode: 0o755, Data: program}},
		Config: v1.ImageConfig{Entrypoint: []string{"/pause", "pause"}},
	}
}

// filesCopy lets images append to a common list.
func filesCopy(files []File) []File { return append([]File{}, files...) }
