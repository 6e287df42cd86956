"""Use cases: they sequence, and ask the core what to do."""
