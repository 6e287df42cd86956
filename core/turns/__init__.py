"""Turns: one request's answer, from its claim to its settlement."""
