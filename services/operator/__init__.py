"""What whoever runs the stack asks and does by hand.

Owns: nothing.
Hears and says: nothing; it calls the services, and looks at the bus itself.
Promises: it changes only what a verb names, and says what it could not find out.
"""
