"""How the gateway stays up: breakers, retries, hedges, limits, queues. Decisions only."""
