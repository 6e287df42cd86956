"""The prompt: gathered from parts of known origin, fitted to a window, fenced against injection."""
