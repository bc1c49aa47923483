"""x402's own words, version 2, as far as the scheme `exact` on EVM chains needs them.

Sources: specs/x402-specification-v2.md, specs/transports-v2/http.md and
specs/schemes/exact/scheme_exact_evm.md of https://github.com/x402-foundation/x402.
"""

import base64
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

VERSION: Literal[2] = 2
SCHEME = "exact"
# Headers of the HTTP transport.
REQUIRED, SIGNATURE, RESPONSE = "PAYMENT-REQUIRED", "PAYMENT-SIGNATURE", "PAYMENT-RESPONSE"
LARGEST_HEADER_BYTES = 8_192


class InvalidPayment(Exception):
    """A payment that cannot count; ``code`` is the specification's word for it, where section 9 has one."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


class Word(BaseModel):
    """The base: JSON in camelCase, and what others add is ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )


class Resource(Word):
    """What is paid for."""

    url: str
    description: str
    mime_type: str = "application/json"


class Requirements(Word):
    """One way to pay: exactly ``amount`` base units of ``asset`` to ``pay_to``."""

    scheme: str
    network: str
    asset: str
    amount: str
    pay_to: str
    max_timeout_seconds: int
    extra: dict[str, Any] = Field(default_factory=dict)


class PaymentRequired(Word):
    """What comes with status 402."""

    x402_version: Literal[2] = VERSION
    error: str
    resource: Resource
    accepts: tuple[Requirements, ...]


class AuthorizationWord(Word):
    """An ERC-3009 authorisation, all in text."""

    sender: str = Field(alias="from")
    to: str
    value: str
    valid_after: str
    valid_before: str
    nonce: str


class ExactPayload(Word):
    """The payload of the scheme `exact` by ERC-3009."""

    signature: str
    authorization: AuthorizationWord


class PaymentPayload(Word):
    """What a client sends: which way it accepts, and its signed authorisation."""

    x402_version: int
    accepted: Requirements
    payload: ExactPayload


class SettlementResponse(Word):
    """What became of the payment."""

    success: bool
    error_reason: str | None = None
    transaction: str
    network: str
    payer: str
    amount: str | None = None


def to_header(word: Word) -> str:
    """Return a word as it travels in a header."""
    return base64.b64encode(word.model_dump_json(exclude_none=True).encode()).decode()


def payment_of(header: str) -> PaymentPayload:
    """Return what a client sent. Raises InvalidPayment."""
    if len(header) > LARGEST_HEADER_BYTES:
        raise InvalidPayment("invalid_payload", f"a payment of {len(header)} bytes")
    try:
        payment = PaymentPayload.model_validate_json(base64.b64decode(header, validate=True))
    except ValueError as error:  # no base64, no ASCII, or no such JSON
        raise InvalidPayment(
            "invalid_payload", f"{SIGNATURE} holds no payment of the scheme {SCHEME} by ERC-3009"
        ) from error
    if payment.x402_version != VERSION:
        raise InvalidPayment("invalid_x402_version", f"version {payment.x402_version}, this is {VERSION}")
    return payment
