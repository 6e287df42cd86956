"""The blocking client: drives the decisions of `colonnade.client` with threads and sleeps."""
