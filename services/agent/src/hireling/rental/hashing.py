"""Keccak-256, as Ethereum uses it (the padding from before SHA-3 was standardised).

A reading costs four of them: where the C extension of safe-pysha3 is installed they take a sixth of the time
that pycryptodome needs, which has a wheel for every machine an agent may run on.
"""

from Crypto.Hash import keccak

try:
    from sha3 import keccak_256
except ImportError:
    keccak_256 = None


def _portable(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


def _fast(data: bytes) -> bytes:
    return bytes(keccak_256(data).digest())


_hash = _portable if keccak_256 is None else _fast


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 of ``data``."""
    return _hash(data)
