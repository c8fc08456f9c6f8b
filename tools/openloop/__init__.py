"""Visitors who do not know each other, as a program: open loop, a new connection each, no retry."""
