"""The k3s target: Kubernetes with the delivery of k3s."""
