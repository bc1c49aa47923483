"""The short signed words between the parties and the contracts: how a rental is funded, unlocked, ended and
disputed.
"""

from enum import IntEnum
from typing import Annotated

from hireling.rental.typed_data import Address, Bytes32, TypedData, Uint16, Uint40, Uint64, Uint96, Uint128
from hireling.rental.values import Integer


class UnlockAction(IntEnum):
    """What the renter asks of the device."""

    UNLOCK = 1
    STOP = 2


class Close(TypedData):
    """Both sides' word on how a rental ends: ``use`` is the cumulative gross price, ``damage`` the deposit's
    part for the owner.
    """

    rental_id: Bytes32
    use: Uint96
    damage: Uint96
    valid_until: Uint40


class Fund(TypedData):
    """The renter's consent to fund ``funded_bps`` ten-thousandths of max_total."""

    rental_id: Bytes32
    funded_bps: Uint16


class Exit(TypedData):
    """Either side's irrevocable wish to end the lock early, after the notice."""

    rental_id: Bytes32


class Dispute(TypedData):
    """The renter's objection to the tail; may be signed ahead for a watchtower."""

    rental_id: Bytes32


class Damage(TypedData):
    """The owner's claim on the deposit, in base units, with the hash of its evidence."""

    rental_id: Bytes32
    amount: Uint96
    evidence: Bytes32


class Unlock(TypedData):
    """The session key's answer to a device's challenge: this nonce, for this action, once."""

    rental_id: Bytes32
    device: Bytes32
    nonce: Bytes32
    action: Annotated[UnlockAction, Integer(8, names=UnlockAction)]


class Deposit(TypedData):
    """Tokens into an account inside the escrow; its hashStruct is the ERC-3009 nonce."""

    account: Bytes32
    salt: Bytes32


class Withdraw(TypedData):
    """Tokens out of an account inside the escrow; ``tip`` goes to whoever submits it."""

    token: Address
    to: Address
    amount: Uint128
    tip: Uint128
    nonce: Uint64
    valid_until: Uint40


class Possession(TypedData):
    """A meter's word that it belongs to ``owner``, signed in the registry's domain."""

    owner: Address
    registry: Address
    valid_until: Uint40
