"""What the core knows about text as such: its terms, and names made from it."""
