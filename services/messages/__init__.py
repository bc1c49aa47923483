"""The words our own processes exchange: RPC models, events (one module per publisher) and errors. Pure: no framework, clock or network."""
