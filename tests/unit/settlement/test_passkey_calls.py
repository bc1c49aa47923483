"""Calldata for parties whose signer is a passkey: the hash of its bytes, and no address to push to."""

from typing import Any

from hireling.rental.agreement import Agreement
from hireling.rental.hashing import keccak256
from services.settlement.escrow.abi import checksummed
from services.settlement.escrow.calls import NO_PUSH, payees, terms
from tests.builders import a_p256_key, an_agreement

PASSKEY = bytes.fromhex("9a55c3e7" * 5) + a_p256_key("passkey").identity


def between_passkeys() -> Agreement:
    values: dict[str, Any] = an_agreement().model_dump()
    values["rules"]["renter"] = values["pay"]["owner"] = PASSKEY
    return Agreement.model_validate(values)


def test_a_passkey_travels_as_the_hash_of_its_84_bytes() -> None:
    pay, rules = terms(between_passkeys())
    assert pay[0] == rules[0] == keccak256(PASSKEY)


def test_a_passkey_is_credited_instead_of_pushed_to() -> None:
    nowhere = checksummed(NO_PUSH)
    assert payees(between_passkeys()) == (nowhere, nowhere)
