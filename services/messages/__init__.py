"""The words our own processes exchange: RPC models, errors, and events (one module per publisher).

Pure: no framework, clock or network.
"""
