"""The speed that nothing can beat: bare signature checks."""

import time

from coincurve import PrivateKey

VERIFY_SECONDS = 1.0


def signature_limit() -> float:
    """Return how many signatures of a known key libsecp256k1 checks in a second, in this one thread."""
    key = PrivateKey(b"\x01" * 32)
    digests = [bytes([number]) * 32 for number in range(64)]
    signed = [(key.sign(digest, hasher=None), digest) for digest in digests]
    public, checked = key.public_key, 0
    start = time.monotonic()
    while (seconds := time.monotonic() - start) < VERIFY_SECONDS:
        for signature, digest in signed:
            if not public.verify(signature, digest, hasher=None):
                raise ArithmeticError("a good signature was refused")
        checked += len(signed)
    return checked / seconds
