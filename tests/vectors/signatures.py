"""Signatures of both curves, good and bad; the secrets are given so that signers can be checked too."""

from collections.abc import Iterator
from typing import Any

from hireling.rental.signing import P256_ORDER, SECP256K1_ORDER, P256Key, Secp256k1Key, keccak256
from hireling.rental.typed_data import to_hex

DIGESTS = tuple(keccak256(f"digest {number}".encode()) for number in range(4))
SECRETS = (bytes(31) + b"\x01", keccak256(b"a secret"), keccak256(b"another secret"))


def vectors() -> dict[str, Any]:
    """Return the vectors of signatures. A bad one gives ``error``, the code of the reason."""
    return {"good": list(_good()), "bad": list(_bad())}


def _good() -> Iterator[dict[str, str]]:
    for curve, make in (("secp256k1", Secp256k1Key.from_secret), ("P-256", P256Key.from_secret)):
        for secret in SECRETS:
            key = make(secret)
            for digest in DIGESTS:
                yield {
                    "curve": curve,
                    "secret": to_hex(secret),
                    "identity": to_hex(key.identity),
                    "digest": to_hex(digest),
                    "signature": to_hex(key.sign_digest(digest)),
                }


def _bad() -> Iterator[dict[str, str]]:
    digest = DIGESTS[0]
    ecdsa = Secp256k1Key.from_secret(SECRETS[1]).sign_digest(digest)
    twin = _negated(ecdsa[32:64], SECP256K1_ORDER)
    yield _vector(digest, ecdsa[:32] + twin + bytes([55 - ecdsa[64]]), "high_s")
    yield _vector(digest, ecdsa[:64] + bytes([ecdsa[64] - 27]), "signature_malformed")
    yield _vector(digest, ecdsa[:64] + b"\x1d", "signature_malformed")
    yield _vector(digest, bytes(32) + ecdsa[32:], "signature_malformed")
    yield _vector(digest, ecdsa[:32] + bytes(32) + ecdsa[64:], "signature_malformed")
    yield _vector(digest, ecdsa[:64], "signature_length")
    yield _vector(digest, b"", "signature_length")
    p256 = P256Key.from_secret(SECRETS[1]).sign_digest(digest)
    yield _vector(digest, p256[:96] + _negated(p256[96:], P256_ORDER), "high_s")
    yield _vector(DIGESTS[1], p256, "signature_malformed")
    yield _vector(digest, bytes(64) + p256[64:], "signature_malformed")
    yield _vector(digest, p256[:64] + bytes(64), "signature_malformed")


def _vector(digest: bytes, signature: bytes, error: str) -> dict[str, str]:
    return {"digest": to_hex(digest), "signature": to_hex(signature), "error": error}


def _negated(s: bytes, order: int) -> bytes:
    return (order - int.from_bytes(s, "big")).to_bytes(32, "big")
