"""The REST API v4: routes by resource, envelope, errors, tokens."""
