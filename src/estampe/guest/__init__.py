"""Inside a volume: inspect, seal, trim, seed."""
