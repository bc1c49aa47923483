"""The whole marketplace on one machine, nothing to install: a supervisor and its child processes.

owns   .hireling/: keys, chain state, databases, logs, bills of this machine's marketplace
starts chain (anvil) · broker (MQTT) · ingest · platform (all Nameko services and the gateway in one process)
says   nothing on the bus: it starts what does
"""
