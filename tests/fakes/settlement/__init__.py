"""A settlement service without a chain.

It registers every device at once, and a rental is in the state a test says.
"""
