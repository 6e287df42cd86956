"""The gRPC contract of Colonnade, generated from `proto/colonnade/v1`."""
