"""Keccak-256, as Ethereum uses it (the padding from before SHA-3 was standardised)."""

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 of ``data``."""
    return keccak.new(digest_bits=256, data=data).digest()
