"""How agents haggle: pure strategies, each decision with its reason."""
