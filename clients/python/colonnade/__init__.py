"""Colonnade for callers: `colonnade.client`, and the generated contract, `colonnade.v1`."""
