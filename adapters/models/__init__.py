"""Language models: in the process, and behind HTTP."""
