"""The whole marketplace on one machine, nothing to install: a supervisor and its child processes.

owns   .hireling/: keys, chain state, databases, logs, bills of this machine's marketplace
starts chain (anvil) · broker (MQTT) · ingest · platform (all Nameko services and the gateway in one process)
       `stack_market`: the same marketplace on RabbitMQ, PostgreSQL and Mosquitto, each service a process
says   nothing on the bus: it starts what does
"""
