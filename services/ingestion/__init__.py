"""Documents in: read, cut, embedded, stored and indexed, each whole or not at all."""
