"""What touches the world: each kind in a folder of its own, each technology in a file."""
