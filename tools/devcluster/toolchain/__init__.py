"""Builds the pinned Go programs (Kubernetes, etcd, helm) into a cache outside the tree."""
