"""BM25 over the words of chunks: tantivy, told which terms a text has."""
