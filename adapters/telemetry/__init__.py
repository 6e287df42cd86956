"""What operators see, by the means at hand."""
