"""A passkey as browser and authenticator are one together: assertions by the specification's steps.

https://www.w3.org/TR/webauthn-2/, 5.8.1.1 (clientDataJSON), 6.1 (authenticatorData), 6.3.3 (assertion).
"""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from typing import Any

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS
from Crypto.Util.asn1 import DerSequence
from eth_abi import encode
from eth_utils import keccak
from signing import P256_ORDER

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, EXTENSIONS = 0x01, 0x04, 0x08, 0x10, 0x80
PRESENT_AND_VERIFIED = USER_PRESENT | USER_VERIFIED
RP_ID = "localhost"
ORIGIN = "http://localhost:8080"
AUTH_TYPES = ["bytes32", "bytes32", "uint256", "uint256", "bytes", "string"]


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def client_data(challenge: bytes, *, kind: str = "webauthn.get", origin: str = ORIGIN) -> str:
    """Return clientDataJSON with its members in the order and form that section 5.8.1.1 prescribes."""
    members = {"type": kind, "challenge": base64url(challenge), "origin": origin, "crossOrigin": False}
    return json.dumps(members, separators=(",", ":"))


def authenticator_data(flags: int, *, rp_id: str = RP_ID, count: int = 0) -> bytes:
    return SHA256.new(rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")


@dataclass(frozen=True)
class Assertion:
    """What an authenticator returned for one challenge, as the verifier takes it."""

    r: int
    s: int
    challenge_index: int
    type_index: int
    authenticator_data: bytes
    client_data_json: str

    def encode(self) -> bytes:
        numbers = (self.r.to_bytes(32, "big"), self.s.to_bytes(32, "big"))
        places = (self.challenge_index, self.type_index)
        return encode(AUTH_TYPES, [*numbers, *places, self.authenticator_data, self.client_data_json])

    def mirrored(self) -> "Assertion":
        """Return the other signature that plain ECDSA accepts."""
        return replace(self, s=P256_ORDER - self.s)


class Passkey:
    """A signer of the verifier that it names."""

    def __init__(self, name: str, verifier: Any) -> None:
        scalar = int.from_bytes(keccak(text=name), "big") % P256_ORDER
        self._key = ECC.construct(curve="p256", d=scalar)
        self._count = 0
        point = self._key.pointQ
        self.point = int(point.x).to_bytes(32, "big") + int(point.y).to_bytes(32, "big")
        self.verifier = verifier
        self.signer = bytes.fromhex(verifier.address[2:]) + self.point

    def sign(self, message_digest: bytes) -> bytes:
        """Return a signature as the escrow takes it: abi.encode(bytes signer, bytes inner)."""
        return self.present(self.assertion(message_digest))

    def present(self, assertion: Assertion | bytes) -> bytes:
        inner = assertion.encode() if isinstance(assertion, Assertion) else assertion
        return encode(["bytes", "bytes"], [self.signer, inner])

    def assertion(self, challenge: bytes, *, flags: int = PRESENT_AND_VERIFIED, **client: str) -> Assertion:
        """Return an assertion over a challenge; `client` changes members of clientDataJSON."""
        self._count += 1
        authenticator = authenticator_data(flags, count=self._count)
        return self.assertion_of(authenticator, client_data(challenge, **client))

    def assertion_of(self, authenticator: bytes, client_data_json: str) -> Assertion:
        """Return the assertion over these very bytes."""
        signed = authenticator + SHA256.new(client_data_json.encode()).digest()
        der = DSS.new(self._key, "deterministic-rfc6979", encoding="der").sign(SHA256.new(signed))
        return assertion_from(der, authenticator, client_data_json)


def assertion_from(der: bytes, authenticator: bytes, client_data_json: str) -> Assertion:
    """Return an authenticator's answer in the verifier's form: r and the lower s from DER, both places."""
    r, s = DerSequence().decode(der)
    return Assertion(
        r=int(r),
        s=min(int(s), P256_ORDER - int(s)),
        challenge_index=client_data_json.index('"challenge"'),
        type_index=client_data_json.index('"type"'),
        authenticator_data=authenticator,
        client_data_json=client_data_json,
    )
