"""What a service says of itself: logs, metrics, probes. What is worth saying the services know."""
