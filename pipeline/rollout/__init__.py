"""A release as a Temporal workflow: durable, one at a time for each algorithm, visible in Temporal's UI."""
