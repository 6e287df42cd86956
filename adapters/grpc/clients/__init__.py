"""Driving ports whose use case another process hosts, over gRPC."""
