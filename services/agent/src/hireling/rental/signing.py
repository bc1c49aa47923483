"""Keys, signatures, and who signed.

There are two curves: secp256k1 as Ethereum signs, and P-256 as secure elements and browsers sign.

| key       | identity                  | signature                                     |
|-----------|---------------------------|-----------------------------------------------|
| secp256k1 | the 20-byte address       | 65 bytes r|s|v over the digest, v 27 or 28    |
| P-256     | the 64-byte point qx|qy   | 128 bytes qx|qy|r|s over sha256(digest)       |

Both low-s only, so that a signature has one form. Neither identity needs a look at any code: its answer can
never change.
"""

import secrets
from functools import lru_cache
from typing import Protocol

from coincurve import PrivateKey, PublicKey
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from hireling.rental.errors import Malformed, SignatureMismatch
from hireling.rental.hashing import keccak256
from hireling.rental.typed_data import Domain, TypedData, digest, to_hex

__all__ = ["P256Key", "Secp256k1Key", "Signer", "keccak256", "sign", "signer_of", "verify"]

SECP256K1_SIGNATURE_BYTES = 65
P256_SIGNATURE_BYTES = 128
# Orders of the two groups: SEC 2 v2 section 2.4.1, and NIST SP 800-186 section 3.2.1.3.
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Signer(Protocol):
    """Whatever can sign a digest: a key in memory, a secure element, a wallet."""

    @property
    def identity(self) -> bytes:
        """Return the signer as the protocol names it: a 20-byte address or a 64-byte P-256 point."""

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the signature of a 32-byte digest: 65 or 128 bytes."""


class Secp256k1Key:
    """A secp256k1 private key. Its repr shows the address only."""

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(_checked_secret(secret, order=SECP256K1_ORDER))
        self._identity = _address_of(self._key.public_key.format(compressed=False))

    @classmethod
    def generate(cls) -> "Secp256k1Key":
        """Return a new key from the operating system's randomness."""
        return cls(_random_secret(order=SECP256K1_ORDER))

    @classmethod
    def from_secret(cls, secret: bytes) -> "Secp256k1Key":
        """Return the key of a 32-byte secret. Raises Malformed if it is none."""
        return cls(secret)

    @property
    def secret(self) -> bytes:
        """Return the 32 secret bytes; for encrypted storage only."""
        return self._key.secret

    @property
    def identity(self) -> bytes:
        """Return the 20-byte address."""
        return self._identity

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the 65-byte signature r|s|v of a 32-byte digest: deterministic (RFC 6979), low-s."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

    def __repr__(self) -> str:
        return f"Secp256k1Key({to_hex(self._identity)})"


class P256Key:
    """A P-256 private key. Its repr shows the public point only."""

    def __init__(self, secret: bytes) -> None:
        self._secret = _checked_secret(secret, order=P256_ORDER)
        self._key = ec.derive_private_key(int.from_bytes(self._secret, "big"), ec.SECP256R1())
        point = self._key.public_key().public_numbers()
        self._identity = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")

    @classmethod
    def generate(cls) -> "P256Key":
        """Return a new key from the operating system's randomness."""
        return cls(_random_secret(order=P256_ORDER))

    @classmethod
    def from_secret(cls, secret: bytes) -> "P256Key":
        """Return the key of a 32-byte secret. Raises Malformed if it is none."""
        return cls(secret)

    @property
    def secret(self) -> bytes:
        """Return the 32 secret bytes; for encrypted storage only."""
        return self._secret

    @property
    def identity(self) -> bytes:
        """Return the 64-byte point qx|qy."""
        return self._identity

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the 128-byte signature qx|qy|r|s over sha256 of a 32-byte digest.

        It is deterministic (RFC 6979) and low-s.
        """
        der = self._key.sign(digest, ec.ECDSA(SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        s = min(s, P256_ORDER - s)
        return self._identity + r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def __repr__(self) -> str:
        return f"P256Key({to_hex(self._identity)})"


def sign(key: Signer, domain: Domain, obj: TypedData) -> bytes:
    """Return the key's signature of ``obj`` in ``domain``."""
    return key.sign_digest(digest(domain, obj))


def signer_of(digest: bytes, signature: bytes) -> bytes:
    """Return the identity that signed ``digest``.

    Raises SignatureMismatch if the signature is not valid for anybody.
    """
    if len(signature) == SECP256K1_SIGNATURE_BYTES:
        return _recover_secp256k1(digest, signature)
    if len(signature) == P256_SIGNATURE_BYTES:
        return _verify_p256(digest, signature)
    raise SignatureMismatch(
        "signature_length",
        f"a signature of {len(signature)} bytes is neither secp256k1 ({SECP256K1_SIGNATURE_BYTES}) "
        f"nor P-256 ({P256_SIGNATURE_BYTES})",
    )


def verify(identity: bytes, digest: bytes, signature: bytes) -> None:
    """Raise SignatureMismatch unless ``identity`` signed ``digest``."""
    signer = signer_of(digest, signature)
    if signer != identity:
        raise SignatureMismatch("wrong_signer", f"signed by {to_hex(signer)}, not by {to_hex(identity)}")


def _recover_secp256k1(digest: bytes, signature: bytes) -> bytes:
    v = signature[64]
    if v not in (27, 28):
        raise SignatureMismatch("signature_malformed", f"v is {v}, not 27 or 28")
    _check_low_s(signature[32:64], order=SECP256K1_ORDER)
    try:
        public = PublicKey.from_signature_and_message(signature[:64] + bytes([v - 27]), digest, hasher=None)
    except Exception as error:  # coincurve raises a bare Exception when no key fits
        raise SignatureMismatch("signature_malformed", f"no key made this signature: {error}") from error
    # Recovery fails with an error here, never with the zero address that Solidity's ecrecover answers.
    return _address_of(public.format(compressed=False))


def _verify_p256(digest: bytes, signature: bytes) -> bytes:
    point, r, s = signature[:64], signature[64:96], signature[96:]
    _check_low_s(s, order=P256_ORDER)
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        _public_p256(point).verify(der, digest, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise SignatureMismatch(
            "signature_malformed", f"{to_hex(point)} did not make this signature"
        ) from error
    return point


def _check_low_s(s: bytes, *, order: int) -> None:
    if int.from_bytes(s, "big") > order // 2:
        raise SignatureMismatch(
            "high_s", "s is in the upper half of the group's order: the signature has a twin"
        )


@lru_cache(maxsize=4096)
def _address_of(uncompressed: bytes) -> bytes:
    """Return the address of a public key 0x04|x|y; remembered: a meter signs thousands of readings."""
    return keccak256(uncompressed[1:])[12:]


@lru_cache(maxsize=1024)
def _public_p256(point: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError as error:
        raise SignatureMismatch("signature_malformed", f"{to_hex(point)} is not on P-256") from error


def _random_secret(*, order: int) -> bytes:
    return (1 + secrets.randbelow(order - 1)).to_bytes(32, "big")


def _checked_secret(secret: bytes, *, order: int) -> bytes:
    if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < order:
        raise Malformed("bad_secret", f"{len(secret)} bytes that are no private key of this curve")
    return secret
