"""From an immutable snapshot to desired objects and problems. Pure: no clock, no I/O."""
