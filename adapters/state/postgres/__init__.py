"""The state of record on PostgreSQL."""
