"""The state on SQLite: one writer that commits for many, readers beside it."""
