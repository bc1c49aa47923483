"""A settlement service without a chain: it registers every device at once, and a rental is in the state a
test says.
"""
