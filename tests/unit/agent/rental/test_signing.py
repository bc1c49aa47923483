"""Keys and signatures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental import hashing
from hireling.rental.close import Exit
from hireling.rental.errors import Malformed, SignatureMismatch
from hireling.rental.signing import (
    P256_ORDER,
    SECP256K1_ORDER,
    P256Key,
    Secp256k1Key,
    keccak256,
    sign,
    signer_of,
    verify,
)
from hireling.rental.typed_data import digest
from tests.builders import DOMAIN, METER_KEY, OWNER_KEY, a_p256_key

DIGEST = keccak256(b"message")
Key = Secp256k1Key | P256Key
both_curves = pytest.mark.parametrize("key", [METER_KEY, a_p256_key("meter")], ids=["secp256k1", "P-256"])


class TestKeccak:
    def test_is_the_one_from_before_sha_3(self) -> None:
        # Of no bytes, as the Ethereum yellow paper gives it.
        assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"

    @given(data=st.binary(max_size=600))
    def test_is_the_same_with_and_without_the_c_extension(self, data: bytes) -> None:
        assert hashing._fast(data) == hashing._portable(data)


class TestKeys:
    def test_the_address_of_secret_one_is_the_known_one(self) -> None:
        key = Secp256k1Key.from_secret(bytes(31) + b"\x01")
        assert key.identity.hex() == "7e5f4552091a69125d5dfcb7b8c2659029395bdf"

    def test_the_point_of_p256_secret_one_is_the_generator(self) -> None:
        # NIST SP 800-186, section 3.2.1.3.
        generator = (
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
        )
        assert P256Key.from_secret(bytes(31) + b"\x01").identity.hex() == generator

    @pytest.mark.parametrize("kind", [Secp256k1Key, P256Key])
    def test_their_text_never_shows_the_secret(self, kind: type[Key]) -> None:
        key = kind.generate()
        assert key.secret.hex() not in f"{key!r} {key} {vars(key)}"
        assert key.identity.hex() in repr(key)

    @pytest.mark.parametrize("kind", [Secp256k1Key, P256Key])
    def test_a_new_key_is_another_one(self, kind: type[Key]) -> None:
        assert kind.generate().identity != kind.generate().identity

    @pytest.mark.parametrize("kind", [Secp256k1Key, P256Key])
    def test_come_back_from_their_secret(self, kind: type[Key]) -> None:
        key = kind.generate()
        assert kind.from_secret(key.secret).identity == key.identity

    @pytest.mark.parametrize(("kind", "order"), [(Secp256k1Key, SECP256K1_ORDER), (P256Key, P256_ORDER)])
    def test_refuse_a_secret_that_is_none(self, kind: type[Key], order: int) -> None:
        for secret in (bytes(32), order.to_bytes(32, "big"), b"\x01" * 31, b"\x01" * 33):
            with pytest.raises(Malformed, match="no private key"):
                kind.from_secret(secret)


class TestSignatures:
    @both_curves
    def test_name_their_signer(self, key: Key) -> None:
        assert signer_of(DIGEST, key.sign_digest(DIGEST)) == key.identity

    @both_curves
    def test_are_the_same_each_time(self, key: Key) -> None:
        assert key.sign_digest(DIGEST) == key.sign_digest(DIGEST)

    @both_curves
    def test_are_low_s(self, key: Key) -> None:
        order = SECP256K1_ORDER if isinstance(key, Secp256k1Key) else P256_ORDER
        for number in range(32):
            signature = key.sign_digest(keccak256(bytes([number])))
            s = signature[32:64] if isinstance(key, Secp256k1Key) else signature[96:]
            assert int.from_bytes(s, "big") <= order // 2

    @both_curves
    def test_are_of_one_object_in_one_domain(self, key: Key) -> None:
        word = Exit(rental_id=bytes(32))
        verify(key.identity, digest(DOMAIN, word), sign(key, DOMAIN, word))
        with pytest.raises(SignatureMismatch):
            verify(key.identity, digest(DOMAIN, Exit(rental_id=b"\x01" * 32)), sign(key, DOMAIN, word))

    def test_of_another_key_are_refused_with_both_names(self) -> None:
        with pytest.raises(SignatureMismatch, match=r"signed by 0x231f.*, not by 0x082a") as refusal:
            verify(OWNER_KEY.identity, DIGEST, METER_KEY.sign_digest(DIGEST))
        assert refusal.value.code == "wrong_signer"

    @both_curves
    def test_with_any_bit_turned_are_nobodys_or_somebody_elses(self, key: Key) -> None:
        signature = key.sign_digest(DIGEST)
        for position in range(0, len(signature) * 8, 7):
            turned = bytearray(signature)
            turned[position // 8] ^= 1 << position % 8
            with pytest.raises(SignatureMismatch):
                verify(key.identity, DIGEST, bytes(turned))
