"""EIP-712 signing for the tests, by eth_account and from the specification's own type strings.

Nothing here comes from the platform's code, so that two implementations check each other.
"""

from typing import Any

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

MEMBERS = {
    "Agreement": "Pay pay,Rules rules",
    "Pay": "bytes owner,bytes renter_agent,bytes meter,address token,address fee_to,uint16 fee_bps,uint96 max_total,"
    "uint96 block_max,uint96 max_rate_per_hour,uint40 start_at,uint32 claim_window",
    "Rules": "bytes renter,bytes owner_agent,address arbiter,uint96 deposit,uint40 fund_by,uint40 end_by,uint32 notice,"
    "uint32 challenge_window,Detail detail",
    "Detail": "bytes32 device,bytes32 offer,bytes32 tariff,string rail,string currency,uint32 ceiling_seconds,"
    "uint32 grace,bytes32 salt",
    "Reading": "bytes32 rental_id,uint64 seq,uint96 amount_due,bool last,Sample sample",
    "Sample": "bytes32 previous,uint256[] counters,bytes32 boot,uint64 monotonic_ms,uint64 wall_ms,uint8 clock,"
    "uint8 event,uint32 flags",
    "Ceiling": "bytes32 rental_id,uint96 max_claimable,uint96 ack_amount,bytes32 ack_reading",
    "Close": "bytes32 rental_id,uint96 use,uint96 damage,uint40 valid_until",
    "Fund": "bytes32 rental_id,uint16 funded_bps",
    "Exit": "bytes32 rental_id",
    "Dispute": "bytes32 rental_id",
    "Damage": "bytes32 rental_id,uint96 amount,bytes32 evidence",
    "Unlock": "bytes32 rental_id,bytes32 device,bytes32 nonce,uint8 action",
    "Deposit": "bytes32 account,bytes32 salt",
    "Withdraw": "bytes32 account,address token,address to,uint128 amount,uint128 tip,uint64 nonce,uint40 valid_until",
    "Possession": "address owner,address registry,bytes32 device,bytes32 metadata,uint40 valid_until",
    # The arbiter panel's, in its own domain.
    "Vote": "uint256 dispute,uint256 ruling",
    # Permit2's, from its documentation.
    "PermitTransferFrom": "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline",
    "TokenPermissions": "address token,uint256 amount",
    # The tokens' own, from EIP-2612 and ERC-3009.
    "Permit": "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline",
    "ReceiveWithAuthorization": "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce",
    "TransferWithAuthorization": "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce",
}


def fields(name: str) -> list[dict[str, str]]:
    return [
        dict(zip(("type", "name"), member.split(" "), strict=True)) for member in MEMBERS[name].split(",")
    ]


def referenced(name: str) -> set[str]:
    direct = {field["type"] for field in fields(name)} & set(MEMBERS)
    return direct.union(*(referenced(other) for other in direct)) if direct else set()


def encode_type(name: str) -> str:
    """Return the type string that EIP-712 hashes."""
    return "".join(f"{each}({MEMBERS[each]})" for each in [name, *sorted(referenced(name))])


def domain(verifying_contract: str, *, chain_id: int = 31337, name: str = "Hireling") -> dict[str, Any]:
    return {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": verifying_contract}


def _message(in_domain: dict[str, Any], name: str, values: dict[str, Any]) -> Any:
    types = {each: fields(each) for each in {name} | referenced(name)}
    return encode_typed_data(domain_data=in_domain, message_types=types, message_data=values)


def digest(in_domain: dict[str, Any], name: str, values: dict[str, Any]) -> bytes:
    message = _message(in_domain, name, values)
    return keccak(b"\x19" + message.version + message.header + message.body)


def hash_struct(name: str, values: dict[str, Any]) -> bytes:
    """Return hashStruct, which no domain enters."""
    body: bytes = _message(domain("0x" + "00" * 20), name, values).body
    return body


class Secp256k1Key:
    """A key that signs digests as an Ethereum account does: r, s, v."""

    def __init__(self, name: str) -> None:
        self.account = Account.from_key(keccak(text=name))
        self.address: str = self.account.address
        self.signer = bytes.fromhex(self.address[2:])

    def sign(self, message_digest: bytes) -> bytes:
        return bytes(self.account.unsafe_sign_hash(message_digest).signature)


class P256Key:
    """A key that signs sha256 of the digest, as WebCrypto and secure elements do: qx, qy, r, s."""

    def __init__(self, name: str) -> None:
        scalar = int.from_bytes(keccak(text=name), "big") % P256_ORDER
        self._key = ECC.construct(curve="p256", d=scalar)
        point = self._key.pointQ
        self.signer = int(point.x).to_bytes(32, "big") + int(point.y).to_bytes(32, "big")

    def sign(self, message_digest: bytes) -> bytes:
        signature = DSS.new(self._key, "deterministic-rfc6979").sign(SHA256.new(message_digest))
        r, s = signature[:32], int.from_bytes(signature[32:], "big")
        return self.signer + r + min(s, P256_ORDER - s).to_bytes(32, "big")


Key = Secp256k1Key | P256Key


def account_of(key: Key) -> bytes:
    """Return the account by which the contracts know a signer."""
    return bytes(keccak(key.signer))


def compact(signature: bytes) -> bytes:
    """Return r|s|v in 64 bytes: r, then s with the parity of v in its highest bit (EIP-2098)."""
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32] + s.to_bytes(32, "big")


def flip_secp256k1(signature: bytes) -> bytes:
    """Return the other signature that plain ECDSA accepts for the same key and digest."""
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def flip_p256(signature: bytes) -> bytes:
    """Return the other signature that plain ECDSA accepts for the same key and digest."""
    s = P256_ORDER - int.from_bytes(signature[96:], "big")
    return signature[:96] + s.to_bytes(32, "big")
