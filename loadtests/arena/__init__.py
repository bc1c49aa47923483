"""The arena: our bargaining strategies against a panel of NegMAS, a test tool in its own environment."""
