"""The state of record: tables and migrations once, an adapter for each database."""
