"""One opener a port: it picks the adapter by its name in the settings, and imports it then."""
