"""What a written object must look like: defaults, limits and refusals. Pure."""
