"""Nearest chunks by meaning: exact search with FAISS over a journal on disk."""
