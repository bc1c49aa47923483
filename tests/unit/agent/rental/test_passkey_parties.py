"""Parties whose signer is a passkey: the verifier's address and the key's point, 84 bytes (ERC-7913)."""

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from pydantic import ValidationError

from hireling.rental.agreement import Agreement, check_owner_signature, check_renter_signature, rental_id
from hireling.rental.errors import SignatureMismatch
from hireling.rental.terms import account_of
from hireling.rental.typed_data import wallet_json
from tests.builders import DOMAIN, a_p256_key, an_agreement

VERIFIER = bytes.fromhex("9a55c3e7" * 5)
PASSKEY = VERIFIER + a_p256_key("passkey").identity


def with_signer(part: str, name: str, signer: bytes) -> Agreement:
    terms: dict[str, Any] = an_agreement().model_dump()
    terms[part][name] = signer
    return Agreement.model_validate(terms)


@pytest.mark.parametrize(
    ("part", "name"), [("rules", "renter"), ("pay", "owner"), ("rules", "owner_agent")], ids=str
)
class TestPasskeyAsAParty:
    def test_is_hashed_as_eth_account_hashes_it(self, part: str, name: str) -> None:
        agreement = with_signer(part, name, PASSKEY)
        signable = encode_typed_data(full_message=wallet_json(DOMAIN, agreement))
        assert rental_id(DOMAIN, agreement) == keccak(b"\x19\x01" + signable.header + signable.body)

    def test_survives_json(self, part: str, name: str) -> None:
        agreement = with_signer(part, name, PASSKEY)
        assert Agreement.model_validate_json(agreement.model_dump_json()) == agreement

    def test_is_another_party_than_the_bare_point_or_one_of_another_verifier(
        self, part: str, name: str
    ) -> None:
        signers = (PASSKEY, PASSKEY[20:], b"\x01" * 20 + PASSKEY[20:])
        assert len({rental_id(DOMAIN, with_signer(part, name, signer)) for signer in signers}) == 3
        assert len({account_of(signer) for signer in signers}) == 3


@pytest.mark.parametrize("name", ["meter", "renter_agent"])
def test_a_passkey_is_no_meter_and_no_session_key(name: str) -> None:
    with pytest.raises(ValidationError, match="84 bytes, not 20 or 64"):
        with_signer("pay", name, PASSKEY)


def test_an_assertion_is_not_judged_without_the_chain() -> None:
    """Only the verifier's code can: what a program alone would take for a signature must not count."""
    signature = bytes(704)
    by_renter, by_owner = (with_signer("rules", name, PASSKEY) for name in ("renter", "owner_agent"))
    with pytest.raises(SignatureMismatch, match="neither secp256k1"):
        check_renter_signature(DOMAIN, by_renter, signature)
    with pytest.raises(SignatureMismatch, match="neither secp256k1"):
        check_owner_signature(DOMAIN, by_owner, signature)
