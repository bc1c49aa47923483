"""Accounts that run code (EIP-7702): the transaction of type 4 by which a key delegates its account."""

from typing import Any

from brownie import web3
from eth_abi import encode
from eth_utils import keccak
from signing import Secp256k1Key

CHAIN_ID = 31337
NO_CODE = "0x" + "00" * 20
DESIGNATOR = bytes.fromhex("ef0100")
# What an authorisation costs at most (25,000), and a transaction.
GAS = 100_000
# Whoever sends the transaction is not whose account changes.
SPONSOR = Secp256k1Key("sponsor of delegations")


def delegate(key: Secp256k1Key, code: Any) -> None:
    """Let the account of `key` run the code of a contract from now on; NO_CODE takes the code away."""
    address = code if isinstance(code, str) else code.address
    authorization = key.account.sign_authorization(
        {"chainId": CHAIN_ID, "address": address, "nonce": web3.eth.get_transaction_count(key.address)}
    )
    transaction = {
        "type": 4,
        "chainId": CHAIN_ID,
        "nonce": web3.eth.get_transaction_count(SPONSOR.address),
        "gas": GAS,
        "maxFeePerGas": 0,
        "maxPriorityFeePerGas": 0,
        "to": SPONSOR.address,
        "value": 0,
        "data": b"",
        "authorizationList": [authorization],
    }
    signed = SPONSOR.account.sign_transaction(transaction)
    web3.eth.send_raw_transaction(signed.raw_transaction)
    expected = b"" if address == NO_CODE else DESIGNATOR + bytes.fromhex(address[2:])
    if bytes(web3.eth.get_code(key.address)) != expected:
        raise RuntimeError(f"the chain did not delegate {key.address} to {address}")


class WalletOf:
    """An account as its KeyholderWallet speaks for it (ERC-1271): abi.encode(bytes signer, bytes inner)."""

    def __init__(self, account: Secp256k1Key, keyholder: Secp256k1Key) -> None:
        self.signer, self.address = account.signer, account.address
        self._keyholder = keyholder

    def sign(self, message_digest: bytes) -> bytes:
        own = keccak(encode(["address", "bytes32"], [self.address, message_digest]))
        return wrapped(self.signer, self._keyholder.sign(own))


def wrapped(signer: bytes, inner: bytes) -> bytes:
    """Return a signature in the form that the signer's code answers for."""
    return encode(["bytes", "bytes"], [signer, inner])
