// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/node"
)

// Client is a connection to the node's containerd. It is safe for concurrent use.
type Client struct {
	node      *node.Node
	namespace string
	conn      *grpc.ClientConn
	runtime   cri.RuntimeServiceClient
}

// New connects. The pods are of the Kubernetes namespace. Close releases the connection, and no pod.
func New(n *node.Node, namespace string) (*Client, error) {
	conn, err := grpc.NewClient("unix://"+n.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to the node's containerd: %w", err)
	}
	return &Client{node: n, namespace: namespace, conn: conn, runtime: cri.NewRuntimeServiceClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
