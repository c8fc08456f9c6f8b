"""The stand-in connector: cloudflared's end of the http2 transport, for machines without cloudflared."""

PROGRAM = "localedge-connector"
"""What the stand-in calls itself wherever cloudflared would give its name or version."""
