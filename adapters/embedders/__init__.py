"""Embedders: texts to vectors, in this process or by a server's help."""
