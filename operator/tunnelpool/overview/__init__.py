"""How everything stands, from the status of the resources alone: host names, their pools, their origins."""
