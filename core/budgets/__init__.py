"""Budgets: what may be spent, by whom, in which time; kept under any number of parallel calls."""
