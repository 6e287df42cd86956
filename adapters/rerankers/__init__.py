"""What scores documents against a query: in this process, or on a server."""
