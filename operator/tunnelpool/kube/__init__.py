"""Writes to the Kubernetes API and the reads that the watches do not bring: the only user of its client."""
