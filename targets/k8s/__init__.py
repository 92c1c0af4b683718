"""The Kubernetes target: objects applied on the server's side, images and weights brought to the nodes."""
