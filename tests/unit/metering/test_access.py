"""Wishes to enter the broker, and the passwords they are answered with."""

import hashlib
from base64 import b64decode
from datetime import timedelta

import pytest

from hireling.rental.access import BrokerChallenge, SignedBrokerAccess, sign_access
from hireling.rental.signing import P256Key, Secp256k1Key, Signer
from hireling.rental.typed_data import Domain
from services.messages.errors import Refused
from services.metering.access import check_wish, fits, hash_of, hashed, new_challenge, new_password
from tests.builders import DOMAIN, METER_KEY, NOW

BROKER = "mqtt://127.0.0.1:1883"
DEVICE = bytes([7]) * 32
P256 = P256Key(bytes([9]) * 32)


def a_wish(
    key: Signer = METER_KEY, *, broker: str = BROKER, domain: Domain = DOMAIN, after: timedelta = timedelta()
) -> SignedBrokerAccess:
    return sign_access(key, domain, new_challenge(broker, now=NOW + after), device=DEVICE)


def refusal(wish: SignedBrokerAccess, *, signer: bytes = METER_KEY.identity) -> str:
    with pytest.raises(Refused) as refused:
        check_wish(wish, broker=BROKER, signer=signer, domain=DOMAIN, now=NOW)
    return refused.value.code


class TestAWish:
    @pytest.mark.parametrize("key", [METER_KEY, P256], ids=["secp256k1", "p256"])
    def test_counts_when_the_key_in_force_signed_it(self, key: Signer) -> None:
        check_wish(a_wish(key), broker=BROKER, signer=key.identity, domain=DOMAIN, now=NOW)

    def test_of_another_key_is_refused(self) -> None:
        assert refusal(a_wish(Secp256k1Key.generate())) == "signature_mismatch"

    def test_for_another_broker_is_refused(self) -> None:
        assert refusal(a_wish(broker="mqtt://elsewhere:1883")) == "other_broker"

    def test_in_another_marketplace_s_domain_is_refused(self) -> None:
        elsewhere = Domain(chain_id=DOMAIN.chain_id + 1, escrow=DOMAIN.escrow)
        assert refusal(a_wish(domain=elsewhere)) == "signature_mismatch"

    @pytest.mark.parametrize("seconds", [-61, 3])
    def test_out_of_its_minute_is_refused(self, seconds: int) -> None:
        assert refusal(a_wish(after=timedelta(seconds=seconds))) == "challenge_expired"

    @pytest.mark.parametrize("seconds", [-60, 2])
    def test_within_its_minute_counts(self, seconds: int) -> None:
        wish = a_wish(after=timedelta(seconds=seconds))
        check_wish(wish, broker=BROKER, signer=METER_KEY.identity, domain=DOMAIN, now=NOW)

    @pytest.mark.parametrize("field", ["device", "rental_id", "nonce", "at_ms"])
    def test_that_was_altered_is_refused(self, field: str) -> None:
        wish = a_wish()
        other = wish.access.at_ms - 1 if field == "at_ms" else bytes([1]) * 32
        altered = wish.model_copy(update={"access": wish.access.model_copy(update={field: other})})
        assert refusal(altered) == "signature_mismatch"


class TestAChallenge:
    def test_is_never_the_same(self) -> None:
        first, second = (new_challenge(BROKER, now=NOW) for _ in range(2))
        assert first.nonce != second.nonce

    def test_travels_as_json(self) -> None:
        challenge = new_challenge(BROKER, now=NOW)
        assert BrokerChallenge.model_validate_json(challenge.model_dump_json()) == challenge


class TestAPassword:
    def test_has_256_bits_of_chance(self) -> None:
        assert len(new_password()) == 43
        assert new_password() != new_password()

    def test_fits_what_is_kept_of_it_and_no_other_does(self) -> None:
        password = new_password()
        kept = hash_of(password)
        assert fits(password, kept)
        assert not fits(new_password(), kept)
        assert password not in kept

    def test_is_kept_in_mosquitto_s_format_for_one_salted_sha_512(self) -> None:
        digest = hashlib.sha512(b"password" + b"salt-of-12-b").digest()
        kept = hashed("password", salt=b"salt-of-12-b")
        _, kind, salt, base64_digest = kept.split("$")
        assert (kind, salt) == ("6", "c2FsdC1vZi0xMi1i")
        assert len(base64_digest) == 88
        assert b64decode(base64_digest) == digest
