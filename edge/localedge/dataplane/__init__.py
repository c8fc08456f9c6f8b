"""The public side: requests of visitors and the two ways to an origin."""
