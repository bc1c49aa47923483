"""An agent that rents: it finds, bargains, pays a block ahead, checks every reading and keeps the bill."""
