"""Being let in at the broker: what a wish must say, and the passwords it is answered with. Pure rules."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from hireling.clock import wall_ms
from hireling.rental.access import BrokerChallenge, SignedBrokerAccess, broker_hash
from hireling.rental.errors import RentalError
from hireling.rental.signing import verify
from hireling.rental.states import RUNNING, START_WINDOW, TERMINAL, State
from hireling.rental.typed_data import Domain, digest
from services.messages.errors import Refused

CHALLENGE_HOLDS = timedelta(seconds=60)
# Challenges are made by any copy of this service, whose clocks differ by less than this.
CLOCKS_DIFFER = timedelta(seconds=2)
PASSWORD_BYTES = 32
SALT_BYTES = 12
# Mosquitto's format for one salted SHA-512 (lib/password_mosq.c of 2.0): enough for 256 random bits, which no
# dictionary holds, and cheap where a broker checks all that are connected again.
PREFIX = "$6$"
# In these a renter may take a seat at the machine's topics. In these nobody may take it away, and in these
# nobody whose own start lies ahead.
SEATED = frozenset(State) - TERMINAL - {State.QUOTED, State.AGREED}
# While the money is on its way, only where nobody else has to do with the machine: there is nothing to
# overhear, and the seat is there when the money is.
ALONE_SEATED = frozenset({State.AGREED})
UNDISTURBED = RUNNING
UNLOCKING = frozenset({State.FUNDED, State.ARMED})


def new_challenge(broker: str, *, now: datetime) -> BrokerChallenge:
    """Return what a wish must carry from now on for a minute."""
    return BrokerChallenge(broker=broker, at_ms=wall_ms(now), nonce=secrets.token_bytes(32))


def check_wish(
    wish: SignedBrokerAccess, *, broker: str, signer: bytes, domain: Domain, now: datetime
) -> None:
    """Raise Refused unless the signer wishes to enter this broker, now."""
    access = wish.access
    if access.broker != broker_hash(broker):
        raise Refused("other_broker", f"the wish is to enter another broker than {broker}")
    age = timedelta(milliseconds=wall_ms(now) - access.at_ms)
    if not -CLOCKS_DIFFER <= age <= CHALLENGE_HOLDS:
        raise Refused(
            "challenge_expired",
            f"a challenge holds {CHALLENGE_HOLDS.seconds} s; this one is {age.total_seconds():.0f} s old",
        )
    try:
        verify(signer, digest(domain, access), wish.signature)
    except RentalError as error:
        raise Refused("signature_mismatch", f"the key in force did not sign this wish: {error}") from error


def goes_first(sitting: int, wishing: int, *, now: datetime) -> bool:
    """Return whether the rental in the seat may be unlocking while the other one, booked ahead, only waits.

    Both are told by their starts, in Unix seconds.
    """
    at = now.timestamp()
    return sitting < wishing and sitting <= at + START_WINDOW.total_seconds() and at < wishing


def new_password() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hashed(password: str, *, salt: bytes) -> str:
    """Return what is kept of a password."""
    digested = hashlib.sha512(password.encode() + salt).digest()
    return f"{PREFIX}{base64.b64encode(salt).decode()}${base64.b64encode(digested).decode()}"


def hash_of(password: str) -> str:
    """Return what is kept of a new password."""
    return hashed(password, salt=secrets.token_bytes(SALT_BYTES))


def fits(password: str, kept: str) -> bool:
    """Return whether this is the password of which that is kept."""
    salt = base64.b64decode(kept.removeprefix(PREFIX).partition("$")[0])
    return hmac.compare_digest(hashed(password, salt=salt), kept)
