"""Notices between replicas: in this process, or over NATS."""
