"""The published vectors, recomputed by other people's code or by a construction of our own."""

import hashlib
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from hireling.rental.bill import SignedBill, verify_bill
from hireling.rental.errors import BillInvalid, SignatureMismatch
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.signing import signer_of
from hireling.rental.tariff import Tariff, price
from hireling.rental.terms import Agreement
from tests.vectors.bills import altered
from tests.vectors.escrow import move
from tests.vectors.generate import FILES, drifted

FOLDER = Path(__file__).parents[3] / "vectors"
CONTRACT_TYPES = Path(__file__).parents[4] / "services" / "settlement" / "abi" / "type_hashes.json"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def un_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def types_in(encoding: str) -> dict[str, list[dict[str, str]]]:
    """Read a type's encoding back into EIP-712's JSON."""
    found = {}
    for name, members in re.findall(r"(\w+)\(([^)]*)\)", encoding):
        pairs = [member.split(" ") for member in members.split(",")]
        found[name] = [{"name": member, "type": type_} for type_, member in pairs]
    return found


class TestVectorFiles:
    def test_are_what_the_code_makes(self) -> None:
        assert drifted() == []

    def test_are_all_described(self) -> None:
        readme = (FOLDER / "README.md").read_text()
        assert [name for name in FILES if f"`{name}`" not in readme] == []


class TestTypes:
    @pytest.mark.parametrize("vector", load("types.json")["types"], ids=lambda vector: vector["type"])
    def test_digest_is_the_one_eth_account_makes(self, vector: dict[str, Any]) -> None:
        domain = load("types.json")["domain"]
        signable = encode_typed_data(
            full_message={
                "types": {
                    "EIP712Domain": [
                        {"name": "name", "type": "string"},
                        {"name": "version", "type": "string"},
                        {"name": "chainId", "type": "uint256"},
                        {"name": "verifyingContract", "type": "address"},
                    ],
                    **types_in(vector["encoding"]),
                },
                "primaryType": vector["type"],
                "domain": {
                    "name": domain["name"],
                    "version": domain["version"],
                    "chainId": int(domain["chain_id"]),
                    "verifyingContract": domain["escrow"],
                },
                "message": vector["message"],
            }
        )
        assert signable.header == un_hex(load("types.json")["domain_separator"])
        assert signable.body == un_hex(vector["hash_struct"])
        assert keccak(b"\x19\x01" + signable.header + signable.body) == un_hex(vector["digest"])

    def test_type_hashes_are_the_contracts(self) -> None:
        ours = {vector["type"]: vector for vector in load("types.json")["types"]}
        theirs = json.loads(CONTRACT_TYPES.read_text())
        assert {name: ours[name]["encoding"] for name in theirs} == {
            name: theirs[name]["encoding"] for name in theirs
        }
        assert {name: ours[name]["type_hash"] for name in theirs} == {
            name: theirs[name]["type_hash"] for name in theirs
        }


class TestSignatures:
    @pytest.mark.parametrize("vector", load("signatures.json")["good"], ids=lambda vector: vector["curve"])
    def test_good_ones_are_verified_by_other_libraries(self, vector: dict[str, str]) -> None:
        digest, signature, identity = (un_hex(vector[name]) for name in ("digest", "signature", "identity"))
        assert signer_of(digest, signature) == identity
        if vector["curve"] == "secp256k1":
            assert un_hex(Account._recover_hash(digest, signature=signature)) == identity
            again = Account.unsafe_sign_hash(digest, un_hex(vector["secret"]))
            assert bytes(again.signature) == signature
        else:
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + identity)
            r, s = (int.from_bytes(signature[start : start + 32], "big") for start in (64, 96))
            hashed = hashlib.sha256(digest).digest()
            public.verify(encode_dss_signature(r, s), hashed, ec.ECDSA(Prehashed(SHA256())))

    @pytest.mark.parametrize("vector", load("signatures.json")["bad"], ids=lambda vector: vector["error"])
    def test_bad_ones_are_refused_for_their_reason(self, vector: dict[str, str]) -> None:
        with pytest.raises(SignatureMismatch) as refusal:
            signer_of(un_hex(vector["digest"]), un_hex(vector["signature"]))
        assert refusal.value.code == vector["error"]


class TestTariffs:
    @pytest.mark.parametrize("vector", load("tariffs.json")["tariffs"])
    def test_prices_are_the_exact_ones_rounded_once(self, vector: dict[str, Any]) -> None:
        tariff = Tariff.model_validate(vector["tariff"])
        names = [spec.name for spec in tariff.counters]
        for case in vector["prices"]:
            counters = [int(counter) for counter in case["counters"]]
            exact = sum(
                Fraction(rate.rate * counters[names.index(rate.counter)], rate.per) for rate in tariff.rates
            )
            # Python's round() on a Fraction is half-even.
            amount = max(tariff.flat + round(exact), tariff.minimum)
            if tariff.maximum is not None:
                amount = min(amount, tariff.maximum)
            assert (price(tariff, counters), int(case["price"])) == (amount, amount)
            assert sum(int(line["amount"]) for line in case["lines"]) == amount


class TestMerkleTrees:
    @pytest.mark.parametrize("vector", load("merkle.json")["trees"], ids=lambda vector: len(vector["values"]))
    def test_root_is_the_one_of_a_recursive_construction(self, vector: dict[str, Any]) -> None:
        leaves = sorted(keccak(keccak(un_hex(value))) for value in vector["values"])
        count = len(leaves)

        def node(position: int) -> bytes:
            if position >= count - 1:
                return leaves[2 * count - 2 - position]
            return keccak(b"".join(sorted((node(2 * position + 1), node(2 * position + 2)))))

        assert node(0) == un_hex(vector["root"])

    @pytest.mark.parametrize("vector", load("merkle.json")["trees"], ids=lambda vector: len(vector["values"]))
    def test_proofs_lead_to_the_root(self, vector: dict[str, Any]) -> None:
        for value, proof in zip(vector["values"], vector["proofs"], strict=True):
            node = keccak(keccak(un_hex(value)))
            for sibling in proof:
                node = keccak(b"".join(sorted((node, un_hex(sibling)))))
            assert node == un_hex(vector["root"])


class TestEscrow:
    @pytest.mark.parametrize("life", load("escrow.json")["lives"], ids=lambda life: life["name"])
    def test_money_in_is_money_out_and_money_held(self, life: dict[str, Any]) -> None:
        agreement = Agreement.model_validate(load("escrow.json")["agreement"])
        slot: Slot | None = None
        taken_in = paid_out = 0
        for step in life["steps"]:
            done = move(agreement, slot, (step["call"], {k: int(v) for k, v in step["arguments"].items()}))
            slot = done.slot
            taken_in += int(step["taken_in"])
            paid_out += sum(int(amount) for amount in step["payout"].values())
            assert taken_in == paid_out + int(step["held"])
        assert slot is not None
        assert slot.status == Status.DONE


class TestBill:
    def test_passes(self) -> None:
        vector = load("bill.json")
        signed = SignedBill.model_validate_json(json.dumps(vector["bill"]))
        assert list(verify_bill(signed).checks) == vector["checks"]

    @pytest.mark.parametrize("alteration", load("bill.json")["alterations"], ids=lambda each: each["path"])
    def test_is_refused_where_it_was_altered(self, alteration: dict[str, Any]) -> None:
        document = altered(load("bill.json")["bill"], alteration["path"], alteration["value"])
        with pytest.raises(BillInvalid) as refusal:
            verify_bill(SignedBill.model_validate(document))
        assert (refusal.value.code, str(refusal.value)) == (alteration["code"], alteration["error"])
