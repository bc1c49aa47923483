"""The one door to the chain.

What is asked of a node, what is sent to the contracts, and what their answers mean.
"""
