"""Evaluations: suites, scores, statistics, reports. A client of the product, no part of it."""
