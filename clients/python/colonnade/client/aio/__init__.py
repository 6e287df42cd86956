"""The asyncio client: drives the decisions of `colonnade.client` on an event loop."""
