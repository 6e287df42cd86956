"""The repositories of every SQL store: what differs between databases is in their own folders."""
