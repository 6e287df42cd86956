"""The model gateway: routing, attempts, booking; and what is offered on it."""
