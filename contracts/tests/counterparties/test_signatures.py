"""What the escrow takes for a signature, at the edges: mirrored, truncated, of the wrong kind, of no key or number.

The rows of p256_vectors.json are Project Wycheproof's; they show the chain's own P-256 check (EIP-7951), on which the
escrow relies.
"""

import json
from pathlib import Path

import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from eth_utils import keccak
from model import Outcome
from rental import HOUR, NOBODY, USD
from signing import (
    P256_ORDER,
    SECP256K1_ORDER,
    P256Key,
    Secp256k1Key,
    account_of,
    compact,
    flip_p256,
    flip_secp256k1,
)
from world import rpc

VECTORS = json.loads((Path(__file__).parent / "p256_vectors.json").read_text())["vectors"]
P256_CHECK = "0x0000000000000000000000000000000000000100"
P256_FIELD = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
NO_NUMBERS = ("0", "the order", "the order + 1", "2**256 - 1")


def number(name, order):
    values = {"0": 0, "the order": order, "the order + 1": order + 1, "2**256 - 1": 2**256 - 1}
    return values[name].to_bytes(32, "big")


def refusal_of_meter(world, rental, signature):
    row = list(rental.claim(USD, USD, USD))
    row[3] = signature
    world.mine_at(max(rental.starts + HOUR, world.now + 1))
    return world.refusal(world.escrow.claim, tuple(row), NOBODY)


def ecdsa(scalar, message_hash):
    """Sign a hash as it is, by the formula, with the lower s."""
    nonce = 0x1234567890ABCDEF
    r = int(ECC.construct(curve="p256", d=nonce).pointQ.x) % P256_ORDER
    z, d = int.from_bytes(message_hash, "big"), int.from_bytes(scalar, "big") % P256_ORDER
    s = pow(nonce, -1, P256_ORDER) * (z + r * d) % P256_ORDER
    return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")


def bad_meter(rental):
    return ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)


class TestCompact:
    def test_claims_as_the_long_form_does_whatever_the_parity(self, world):
        rental = world.opened()
        world.mine_at(rental.starts + HOUR)
        parities, seq = set(), 0
        # Chance decides each parity: all four come sooner or later, within the hour's 65 dollars.
        while len(parities) < 4:
            seq += 1
            row = list(rental.claim(seq * USD, seq * USD, seq * USD, seq=seq))
            parities |= {("meter", row[3][64]), ("agent", row[5][64])}
            row[3], row[5] = compact(row[3]), compact(row[5])
            world.escrow.claim(tuple(row), NOBODY, {"from": world.relayer})
            assert world.slot(rental)[0] == seq * USD

    def test_speaks_for_a_party(self, world):
        rental = world.opened()

        world.escrow.exit(rental.terms, compact(rental.exit(rental.renter)), {"from": world.relayer})

        assert world.slot(rental)[2] < rental.claim_by

    def test_of_the_other_parity_is_anothers(self, world):
        rental = world.opened()
        signature = bytearray(compact(rental.claim(USD, USD, USD)[3]))
        signature[32] ^= 0x80

        assert refusal_of_meter(world, rental, bytes(signature)) == bad_meter(rental)


class TestSecp256k1:
    def test_the_zero_address_signs_nothing(self, world):
        """A failed recovery answers address zero, which must not count as a signer of that name."""
        nobody = Secp256k1Key("nobody")
        nobody.signer, nobody.address = b"\x00" * 20, NOBODY
        rental = world.rental(renter=nobody)
        nothing_recovered = b"\x00" * 64 + b"\x1b"

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, nothing_recovered)

        assert refusal == ("RentalEscrow_InvalidSignature",)

    @pytest.mark.parametrize("half", ["r", "s"])
    @pytest.mark.parametrize("name", NO_NUMBERS)
    def test_numbers_outside_the_curves_order_sign_nothing(self, world, half, name):
        rental = world.opened()
        _, good = rental.reading(USD)
        bad = number(name, SECP256K1_ORDER)
        signature = bad + good[32:] if half == "r" else good[:32] + bad + good[64:]

        assert refusal_of_meter(world, rental, signature) == bad_meter(rental)

    @pytest.mark.parametrize("parity", [0, 1, 26, 29, 255])
    def test_a_parity_that_is_none_signs_nothing(self, world, parity):
        rental = world.opened()
        _, good = rental.reading(USD)

        assert refusal_of_meter(world, rental, good[:64] + bytes([parity])) == bad_meter(rental)

    def test_the_mirrored_signature_of_either_side_closes_nothing(self, world):
        rental = world.opened()
        closing = (USD, 0, world.now + HOUR)
        owners, renters = rental.close(*closing, rental.owner), rental.close(*closing, rental.renter)

        for pair in ((flip_secp256k1(owners), renters), (owners, flip_secp256k1(renters))):
            refusal = world.refusal(world.escrow.close, rental.terms, closing, *pair, (NOBODY, NOBODY))
            assert refusal == ("RentalEscrow_InvalidSignature",)

    @pytest.mark.parametrize("length", [1, 32, 63, 66, 127, 129])
    def test_a_truncated_or_padded_signature_signs_nothing(self, world, length):
        rental = world.opened()
        _, good = rental.reading(USD)
        signature = (good * 2)[:length]

        assert refusal_of_meter(world, rental, signature) == bad_meter(rental)


class TestP256:
    @pytest.mark.parametrize("half", ["r", "s"])
    @pytest.mark.parametrize("name", NO_NUMBERS)
    def test_numbers_outside_the_curves_order_sign_nothing(self, world, half, name):
        rental = world.opened(meter=P256Key("element"))
        _, good = rental.reading(USD)
        bad = number(name, P256_ORDER)
        signature = good[:64] + bad + good[96:] if half == "r" else good[:96] + bad

        assert refusal_of_meter(world, rental, signature) == bad_meter(rental)

    def test_the_mirrored_signature_signs_nothing(self, world):
        rental = world.opened(meter=P256Key("element"))
        _, good = rental.reading(USD)

        assert refusal_of_meter(world, rental, flip_p256(good)) == bad_meter(rental)

    @pytest.mark.parametrize(
        "point",
        [
            b"\x00" * 64,
            b"\x01" * 64,
            P256_FIELD.to_bytes(32, "big") + b"\x00" * 32,
            b"\x00" * 32 + P256_FIELD.to_bytes(32, "big"),
            b"\xff" * 64,
        ],
        ids=["infinity", "off the curve", "x is the field", "y is the field", "beyond the field"],
    )
    def test_a_key_that_is_no_point_signs_nothing_although_it_was_agreed(self, world, point):
        key = P256Key("element")
        key.signer = point
        rental = world.opened(meter=key)
        _, signature = rental.reading(USD)

        assert refusal_of_meter(world, rental, signature) == bad_meter(rental)

    def test_a_signature_by_the_formula_over_the_hashed_digest_counts(self, world):
        """Shows that the formula of the next test signs rightly where it hashes."""
        key = P256Key("element")
        rental = world.opened(meter=key)
        key.sign = lambda digest: key.signer + ecdsa(keccak(text="element"), SHA256.new(digest).digest())

        world.claimed(rental, USD, USD, USD)

        assert world.slot(rental)[0] == USD

    def test_a_signature_over_the_digest_itself_signs_nothing(self, world):
        """Secure elements hash what they sign; a signature that skips it is another scheme's."""
        key = P256Key("element")
        rental = world.opened(meter=key)
        _, good = rental.reading(USD)
        key.sign = lambda digest: key.signer + ecdsa(keccak(text="element"), digest)
        _, signature = rental.reading(USD)

        assert signature[:64] == good[:64]
        assert refusal_of_meter(world, rental, signature) == bad_meter(rental)

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['number']}")
    def test_the_chain_answers_the_public_vectors(self, world, vector):
        calldata = "0x" + vector["hash"] + vector["signature"] + vector["key"]

        answer = rpc("eth_call", {"to": P256_CHECK, "data": calldata}, "latest")

        assert (answer == "0x" + "00" * 31 + "01") is vector["valid"]


class TestWrongKind:
    """Each message has a type of its own: what was signed as one of them is never taken for another."""

    def test_an_exit_is_no_dispute(self, world):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        world.mine_at(rental.claim_by + 1)

        refusal = world.refusal(world.escrow.dispute, rental.terms, rental.exit(rental.renter))

        self.is_someone_else(refusal, rental.renter)

    def test_a_dispute_is_no_exit(self, world):
        rental = world.opened()

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.dispute())

        self.is_someone_else(refusal, rental.renter)

    def test_an_agreement_is_no_fund_of_the_whole(self, world):
        rental = world.opened(funded_bps=5_000)

        refusal = world.refusal(world.escrow.topUp, rental.terms, 10_000, rental.agreement_signature)

        self.is_someone_else(refusal, rental.renter)

    def test_a_ceiling_is_no_reading(self, world):
        """Even where one key were both, its word as one does not count as the other."""
        key = Secp256k1Key("both")
        rental = world.opened(meter=key, renter_agent=key)
        _, as_ceiling = rental.ceiling(USD, USD)

        assert refusal_of_meter(world, rental, as_ceiling) == bad_meter(rental)

    def test_a_close_of_one_amount_is_no_close_of_another(self, world):
        rental = world.opened()
        until = world.now + HOUR
        signed = (rental.close(USD, 0, until, rental.owner), rental.close(USD, 0, until, rental.renter))

        refusal = world.refusal(
            world.escrow.close, rental.terms, (2 * USD, 0, until), *signed, (NOBODY, NOBODY)
        )

        self.is_someone_else(refusal, rental.owner)

    def test_a_damage_claim_with_other_evidence_is_none(self, world):
        rental = world.opened()
        signature = rental.damage(USD, b"\x01" * 32, rental.owner)

        refusal = world.refusal(world.escrow.damage, rental.terms, USD, b"\x02" * 32, signature)

        self.is_someone_else(refusal, rental.owner)

    @staticmethod
    def is_someone_else(refusal, key):
        """A digest that was not signed recovers to a stranger."""
        assert refusal[0] == "RentalEscrow_Unauthorized"
        assert refusal[1] != account_of(key)
