"""The contracts hash the very types that the specification names and eth_account signs."""

import json
from pathlib import Path

import pytest
from brownie import SignedTypeBook
from eth_abi import decode
from eth_utils import keccak
from signing import MEMBERS, encode_type
from world import rpc

EXPORTED = Path(__file__).parents[3] / "services/settlement/abi/type_hashes.json"
TOKENS_OWN = {
    "PermitTransferFrom",
    "TokenPermissions",
    "Permit",
    "ReceiveWithAuthorization",
    "TransferWithAuthorization",
}
# Signed in the panel's own domain, and shown there.
PANELS_OWN = {"Vote"}
BOOK = "0x" + "b0" * 20
PROTOCOL = sorted(set(MEMBERS) - TOKENS_OWN - PANELS_OWN)


@pytest.fixture(scope="module")
def exported():
    return json.loads(EXPORTED.read_text())


def test_every_type_of_the_protocol_is_exported(exported):
    assert sorted(exported) == PROTOCOL


@pytest.mark.parametrize("name", PROTOCOL)
def test_the_contracts_hash_the_type_as_it_is_written(exported, name):
    assert exported[name] == {
        "encoding": encode_type(name),
        "type_hash": "0x" + keccak(text=encode_type(name)).hex(),
    }


def test_the_book_tells_every_type_as_it_is_written(world):
    runtime = rpc("eth_call", {"data": "0x" + SignedTypeBook.bytecode}, "latest")
    rpc("anvil_setCode", BOOK, runtime)

    raw = rpc("eth_call", {"to": BOOK, "data": "0x" + keccak(text="all()")[:4].hex()}, "latest")

    (book,) = decode(["(string,bytes32)[]"], bytes.fromhex(raw[2:]))
    written = [encode_type(name) for name in PROTOCOL]
    assert sorted(book) == sorted((encoding, keccak(text=encoding)) for encoding in written)
