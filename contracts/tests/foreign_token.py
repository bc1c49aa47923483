"""Rentals that are paid in a token of the test's own."""

from typing import Any

from rental import HOUR, Rental
from signing import Key, account_of
from world import World


def opened(world: World, token: Any, **changes: Any) -> Rental:
    """Open a rental that is paid in the token, which its renter holds and has approved."""
    rental = world.rental(**changes)
    rental.token = token.address
    world.escrow.open(rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer})
    return rental


def close(
    world: World, rental: Rental, use: int, payees: tuple[str, str] | None = None, **options: Any
) -> Any:
    """Close by both sides' word, and push to both unless `payees` says otherwise."""
    until = world.now + HOUR
    sides = (rental.close(use, 0, until, rental.owner), rental.close(use, 0, until, rental.renter))
    payees = payees or (rental.owner.address, rental.renter.address)
    terms = (rental.terms, (use, 0, until), *sides, payees)
    return world.escrow.close(*terms, {"from": world.relayer, **options})


def credit(world: World, token: Any, key: Key) -> int:
    """Return what the escrow holds of the token for a key's account."""
    return int(world.escrow.balances(token, account_of(key))[0])
