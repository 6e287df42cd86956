"""How a turn is claimed, run, read and settled."""
