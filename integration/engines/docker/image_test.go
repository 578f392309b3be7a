// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/katapod/katapod/integration/images"
)

// image is the test image in Docker.
const image = "busybox"

// importImage gives Docker the layer of the test image: what `docker load` takes is not what containerd exports.
func (d *dockerd) importImage(t *testing.T) {
	t.Helper()
	blobs, err := readArchive(d.Archive)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layerOf(blobs, images.Busybox)
	path := filepath.Join(d.root, "layer.tar")
	if err == nil {
		err = os.WriteFile(path, layer, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.docker(t, "import", "--change", `CMD ["sh"]`, "--change", "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", path, image)
}

// readArchive reads a tar archive into memory.
func readArchive(path string) (map[string][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(file); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
}

// layerOf is the only layer of an image in an OCI image layout.
func layerOf(files map[string][]byte, name string) ([]byte, error) {
	blob := func(d v1.Descriptor) []byte {
		return files["blobs/"+d.Digest.Algorithm().String()+"/"+d.Digest.Encoded()]
	}
	var index v1.Index
	if err := json.Unmarshal(files[v1.ImageIndexFile], &index); err != nil {
		return nil, fmt.Errorf("read the index of the test images: %w", err)
	}
	for _, d := range index.Manifests {
		if d.Annotations["io.containerd.image.name"] != name {
			continue
		}
		var manifest v1.Manifest
		if err := json.Unmarshal(blob(d), &manifest); err != nil {
			return nil, fmt.Errorf("read the manifest of %s: %w", name, err)
		}
		return blob(manifest.Layers[0]), nil
	}
	return nil, fmt.Errorf("the archive has no image %s", name)
}
