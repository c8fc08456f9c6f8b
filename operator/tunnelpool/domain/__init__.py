"""What tunnelpool talks about: remote objects, keys, ownership, errors. Pure values, no I/O."""
