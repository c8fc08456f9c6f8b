"""Monitors: what is probed when, and what a result means."""
