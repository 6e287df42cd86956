"""The pure heart of Colonnade: domain types and decisions. No I/O, no clock, no randomness."""
