"""Snapshots for the builders: resources from the store, remote objects from the listings.

Everything that waits is here; what comes out is immutable. A problem that keeps Cloudflare from being
asked stands in the snapshot instead of an exception, so that status can still be told.
"""
