"""A machine that rents itself out: it lists, bargains, unlocks, meters, signs and is paid."""
