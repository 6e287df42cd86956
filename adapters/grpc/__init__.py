"""The gRPC transport: messages to domain types and back, nothing else."""
