"""`/_edge`: what a test or a person asks of the stand-in itself, never of Cloudflare."""
