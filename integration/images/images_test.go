// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func sample(name string) Image {
	return Image{Name: name, Files: []File{
		{Path: "bin/", Mode: 0o755},
		{Path: "bin/tool", Mode: 0o755, Data: []byte("tool")},
		{Path: "bin/hard", Mode: 0o755, Hard: "bin/tool"},
		{Path: "bin/soft", Mode: 0o777, Soft: "tool"},
	}, Config: v1.ImageConfig{Cmd: []string{"tool"}}}
}

func read(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteMakesALayout(t *testing.T) {
	var out, again bytes.Buffer
	if err := Write(&out, sample("a.test/one:1"), sample("a.test/two:1")); err != nil {
		t.Fatal(err)
	}
	if err := Write(&again, sample("a.test/one:1"), sample("a.test/two:1")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("the same images gave different bytes")
	}
	files := read(t, out.Bytes())
	var index v1.Index
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 2 || index.Manifests[1].Annotations["io.containerd.image.name"] != "a.test/two:1" {
		t.Fatalf("the index lists %+v", index.Manifests)
	}
	blob := func(sum digest.Digest) []byte {
		data, ok := files["blobs/sha256/"+sum.Encoded()]
		if !ok || digest.FromBytes(data) != sum {
			t.Fatalf("the blob %s is missing or is another", sum)
		}
		return data
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(blob(index.Manifests[0].Digest), &manifest); err != nil {
		t.Fatal(err)
	}
	blob(manifest.Config.Digest)
	layer := read(t, blob(manifest.Layers[0].Digest))
	if len(layer) != 4 || string(layer["bin/tool"]) != "tool" {
		t.Errorf("the layer holds %v", layer)
	}
}
