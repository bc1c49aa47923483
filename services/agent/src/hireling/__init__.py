"""Machines that hire themselves out: the rental protocol, and the agents of the machine and of its renter."""
