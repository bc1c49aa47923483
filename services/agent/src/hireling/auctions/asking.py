"""What a machine asks in a reverse auction, which is sealed and pays what was asked.

The less it asks the likelier it wins, and the less it earns. Where all machines would settle for something
between nothing and the renter's limit, each amount as likely, and each knows only its own, nobody
gains by asking anything but its least and, on top, one part in ``rivals + 1`` of the rest up to the limit:
the equilibrium of a first-price auction with independent private values (Vickrey 1961).
"""

from collections.abc import Iterable


def asked_amount(amounts: Iterable[int], *, limit: int, rivals: int) -> int | None:
    """Return what to ask, of the ``amounts`` that the owner settles for; None where all exceed ``limit``.

    All in base units; ``rivals`` is how many other machines are expected to ask. Rounded up to an amount.
    """
    within = sorted(amount for amount in amounts if amount <= limit)
    if not within:
        return None
    lowest, highest = within[0], within[-1]
    wanted = lowest + (highest - lowest) // (rivals + 1)
    return next(amount for amount in within if amount >= wanted)
