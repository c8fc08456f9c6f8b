"""The local edge: a stand-in for Cloudflare's side of tunnels and load balancing."""
