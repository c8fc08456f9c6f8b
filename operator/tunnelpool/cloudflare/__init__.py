"""Cloudflare's REST API: one transport with a budget for each token, listings that are kept, writes."""
