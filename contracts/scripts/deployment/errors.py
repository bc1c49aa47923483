"""What can go wrong, split by who must act."""


class Refused(Exception):
    """Nothing was sent: the operator asked for what must not be done, or the chain cannot carry the contracts."""


class Unfinished(Exception):
    """Something was sent and its end is not known: run the same command again."""


class Differs(Exception):
    """What lies on the chain is not what was built here."""
