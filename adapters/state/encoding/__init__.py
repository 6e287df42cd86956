"""Domain values as the tuples that a row holds, the same on every database.

Each module names its table's columns, in the order of the tuples that it makes and reads.
"""
