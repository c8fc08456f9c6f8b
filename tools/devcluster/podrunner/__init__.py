"""Nodes and their kubelet: binds pods and runs their containers as local processes."""
