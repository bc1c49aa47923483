"""Being let in at the broker: the marketplace asks, a device's meter or a renter's session key signs."""

from hireling.rental.hashing import keccak256
from hireling.rental.signing import Signer, sign
from hireling.rental.typed_data import Bytes32, Document, Domain, HexBytes, TypedData, Uint64

NO_RENTAL = bytes(32)


class BrokerAccess(TypedData):
    """The wish to be let in, at the moment and with the nonce that the marketplace gave.

    ``broker`` is the hash of its address. ``rental_id`` is zero where a device asks for itself; else the
    renter of that rental asks, or, where it is the hash of a question with an open session, the agent that
    asked that.
    """

    broker: Bytes32
    device: Bytes32
    rental_id: Bytes32
    at_ms: Uint64
    nonce: Bytes32


class SignedBrokerAccess(Document):
    """A wish to be let in, signed by the meter, or by the rental's session key."""

    access: BrokerAccess
    signature: HexBytes


class BrokerChallenge(Document):
    """What a wish must carry to count: good for a minute, once."""

    broker: str
    at_ms: Uint64
    nonce: Bytes32


def broker_hash(address: str) -> bytes:
    """Return the name of a broker in a signature: its address, ``mqtt://host:port``, hashed."""
    return keccak256(address.encode())


def sign_access(
    key: Signer, domain: Domain, challenge: BrokerChallenge, *, device: bytes, rental_id: bytes = NO_RENTAL
) -> SignedBrokerAccess:
    """Return the answer to a challenge."""
    access = BrokerAccess(
        broker=broker_hash(challenge.broker),
        device=device,
        rental_id=rental_id,
        at_ms=challenge.at_ms,
        nonce=challenge.nonce,
    )
    return SignedBrokerAccess(access=access, signature=sign(key, domain, access))
