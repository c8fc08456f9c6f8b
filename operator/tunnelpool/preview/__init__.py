"""What the operator would do, without doing it: the engine's own decisions against a simulated world."""
