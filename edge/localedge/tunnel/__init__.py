"""The edge's side of cloudflared's http2 transport."""
