"""What those who run the operator see of it: logs, metrics and health."""
