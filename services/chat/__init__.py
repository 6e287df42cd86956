"""Chat: a request becomes a turn, a turn's run becomes an answer."""
