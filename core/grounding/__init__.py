"""Grounded answers: citations, what stands in the sources, extraction, plain refusals."""
