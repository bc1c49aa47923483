"""An x402 front: rentals at the listed price for whoever pays by HTTP 402 and knows nothing of our protocol.

It is a renter's agent. It takes the exact payment to its own wallet, rents the machine in its own name, runs
the rental, and sends back what was not used: paid = spent + fee + refunded, to the unit. What that asks the
payer to trust is in docs/interoperability.md, and why it is so in docs/adr/0014.
"""
