"""What whoever runs the stack asks and does by hand: health, queues, parked events, books against the chain.

Owns: nothing.
Hears and says: nothing; it calls the services, and looks at the bus itself.
Promises: it changes nothing but by `replay`, and says what it could not find out.
"""
