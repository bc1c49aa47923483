"""What happened, told to whoever listens: one module per publishing service."""
