"""tunnelpool: Cloudflare Tunnels and Load Balancing as Kubernetes custom resources."""
