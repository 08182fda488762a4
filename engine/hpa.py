"""The Kubernetes Horizontal Pod Autoscaler's arithmetic, as pure functions."""
