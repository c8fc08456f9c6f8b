"""The whole chain on one machine: local edge, cluster, operator and traffic, and the story that they tell."""
