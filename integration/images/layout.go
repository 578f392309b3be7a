// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an image to be made.
type Image struct {
	Name   string // full reference, as containerd will know it
	Files  []File
	Config v1.ImageConfig
}

// File is an entry of an image's only layer.
type File struct {
	Path string // without a leading slash; directories end in a slash
	Mode int64
	Data []byte
	Hard string // set for a hard link: the path it leads to
	Soft string // set for a symbolic link: what it says
}

// Write writes an OCI image layout of the images as a tar archive (OCI Image Layout Specification 1.1).
func Write(out io.Writer, images ...Image) error {
	w := tar.NewWriter(out)
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	written := map[digest.Digest]bool{}
	for _, image := range images {
		manifest, err := image.write(w, written)
		if err != nil {
			return fmt.Errorf("write the image %s: %w", image.Name, err)
		}
		// containerd takes the name from this annotation of its own; the one of the standard is a tag only.
		manifest.Annotations = map[string]string{
			"io.containerd.image.name": image.Name,
			v1.AnnotationRefName:       "latest",
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	if err := writeJSON(w, v1.ImageIndexFile, index); err != nil {
		return err
	}
	if err := writeJSON(w, v1.ImageLayoutFile, v1.ImageLayout{Version: v1.ImageLayoutVersion}); err != nil {
		return err
	}
	return w.Close()
}

// Blob is one of the pieces an image consists of, under the digest of its bytes.
type Blob struct {
	v1.Descriptor
	Data []byte
}

func newBlob(mediaType string, data []byte) Blob {
	descriptor := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	return Blob{Descriptor: descriptor, Data: data}
}

// Blobs are the image's layer, its configuration and, last, its manifest.
func (i Image) Blobs() ([]Blob, error) {
	data, err := i.layer()
	if err != nil {
		return nil, err
	}
	layer := newBlob(v1.MediaTypeImageLayer, data)
	data, err = json.Marshal(v1.Image{
		Platform: v1.Platform{Architecture: architecture, OS: "linux"},
		Config:   i.Config,
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the image's configuration: %w", err)
	}
	config := newBlob(v1.MediaTypeImageConfig, data)
	data, err = json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    config.Descriptor,
		Layers:    []v1.Descriptor{layer.Descriptor},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the image's manifest: %w", err)
	}
	return []Blob{layer, config, newBlob(v1.MediaTypeImageManifest, data)}, nil
}

// write adds those of the image's blobs that are not written yet, and returns how its manifest is found.
func (i Image) write(w *tar.Writer, written map[digest.Digest]bool) (v1.Descriptor, error) {
	blobs, err := i.Blobs()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, b := range blobs {
		if written[b.Digest] {
			continue
		}
		written[b.Digest] = true
		if err := writeFile(w, "blobs/"+b.Digest.Algorithm().String()+"/"+b.Digest.Encoded(), b.Data); err != nil {
			return v1.Descriptor{}, err
		}
	}
	return blobs[len(blobs)-1].Descriptor, nil
}

// layer is the uncompressed layer. Links get a mode as well: containerd changes the mode through them.
func (i Image) layer() ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range i.Files {
		header := &tar.Header{Name: f.Path, Mode: f.Mode, Size: int64(len(f.Data)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
		switch {
		case f.Hard != "":
			header.Typeflag, header.Linkname = tar.TypeLink, f.Hard
		case f.Soft != "":
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.Soft
		case f.Path[len(f.Path)-1] == '/':
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("add %s to the layer: %w", f.Path, err)
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, fmt.Errorf("add %s to the layer: %w", f.Path, err)
		}
	}
	if err := w.Close(); err != nil { // writes the end of the archive
		return nil, fmt.Errorf("end the layer: %w", err)
	}
	return out.Bytes(), nil
}

func writeJSON(w *tar.Writer, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return writeFile(w, name, data)
}

func writeFile(w *tar.Writer, name string, data []byte) error {
	header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(header); err != nil {
		return fmt.Errorf("add %s to the archive: %w", name, err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("add %s to the archive: %w", name, err)
	}
	return nil
}
