"""What exists on the edge: immutable records, how they change, and who sees a change when."""
