"""A passkey, browser and authenticator in one: a Signer whose signature only the chain can judge."""

import json
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from eth_abi.abi import encode

from hireling.rental.signing import P256_ORDER

PRESENT_AND_VERIFIED = bytes([0x05])
NO_COUNTER = bytes(4)


class Passkey:
    """A new passkey under a verifier."""

    def __init__(self, verifier: bytes) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        point = self._key.public_key().public_numbers()
        self._identity = verifier + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")

    @property
    def identity(self) -> bytes:
        """Return the ERC-7913 signer: verifier, qx, qy."""
        return self._identity

    def sign_digest(self, digest: bytes) -> bytes:
        """Return an assertion over the digest as the escrow takes it."""
        text = client_data(digest)
        data = sha256(b"localhost") + PRESENT_AND_VERIFIED + NO_COUNTER
        r, s = decode_dss_signature(self._key.sign(data + sha256(text.encode()), ec.ECDSA(SHA256())))
        numbers = [each.to_bytes(32, "big") for each in (r, min(s, P256_ORDER - s))]
        places = [text.index('"challenge"'), text.index('"type"')]
        inner = encode(
            ["bytes32", "bytes32", "uint256", "uint256", "bytes", "string"], [*numbers, *places, data, text]
        )
        return encode(["bytes", "bytes"], [self._identity, inner])


def client_data(challenge: bytes) -> str:
    """Return clientDataJSON as browsers do: https://www.w3.org/TR/webauthn-2/#clientdatajson-serialization."""
    members = {
        "type": "webauthn.get",
        "challenge": urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "origin": "http://localhost:8080",
        "crossOrigin": False,
    }
    return json.dumps(members, separators=(",", ":"))


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of the data."""
    hashing = Hash(SHA256())
    hashing.update(data)
    return hashing.finalize()
