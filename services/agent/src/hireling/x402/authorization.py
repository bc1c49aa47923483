"""ERC-3009 authorisations: what a payer signed, and whether it is what was asked for."""

from datetime import datetime
from typing import Self

from pydantic import ValidationError

from hireling.rental.errors import SignatureMismatch
from hireling.rental.hashing import keccak256
from hireling.rental.signing import verify
from hireling.rental.typed_data import Address, Bytes32, Document, HexBytes, Uint40, Uint256, to_hex
from hireling.renter.wallet import TRANSFER_TYPE, TokenDomain, words_of
from hireling.x402.words import SCHEME, InvalidPayment, PaymentPayload, Requirements

# A wallet's 65 bytes; a contract's signatures are other than that, and their code could change.
SIGNATURE_BYTES = 65
# What is left of an authorisation when it is taken must suffice to get it into a block.
LEAST_SECONDS_LEFT = 20
# How far a payer's clock may be ahead. What is good for longer would have to be watched for longer.
CLOCK_SLACK_SECONDS = 120


class Authorization(Document):
    """A signed transfer of ``value`` base units, good once, strictly between two Unix seconds."""

    sender: Address
    recipient: Address
    value: Uint256
    valid_after: Uint40
    valid_before: Uint40
    nonce: Bytes32
    signature: HexBytes

    @property
    def id(self) -> bytes:
        """Return what names the payment: its payer and nonce, which the token lets count once."""
        return keccak256(self.sender + self.nonce)

    @classmethod
    def of(cls, payment: PaymentPayload) -> Self:
        """Return the authorisation in a payment. Raises InvalidPayment."""
        said = payment.payload.authorization
        try:
            return cls.model_validate(
                {
                    "sender": said.sender,
                    "recipient": said.to,
                    "value": said.value,
                    "valid_after": said.valid_after,
                    "valid_before": said.valid_before,
                    "nonce": said.nonce,
                    "signature": payment.payload.signature,
                }
            )
        except ValidationError as error:
            raise InvalidPayment("invalid_payload", f"no ERC-3009 authorisation: {error}") from error

    def check(self, requirements: Requirements, domain: TokenDomain, now: datetime) -> None:
        """Raise InvalidPayment unless the payer signed what is required, with time left to settle it."""
        if to_hex(self.recipient) != requirements.pay_to.lower():
            raise InvalidPayment(
                "invalid_exact_evm_payload_recipient_mismatch",
                f"authorised to {to_hex(self.recipient)}, due to {requirements.pay_to}",
            )
        if str(self.value) != requirements.amount:
            raise InvalidPayment(
                "invalid_exact_evm_payload_authorization_value_mismatch",
                f"{self.value} authorised, exactly {requirements.amount} due",
            )
        self._check_times(int(now.timestamp()), most=requirements.max_timeout_seconds)
        self._check_signature(domain)

    def _check_times(self, now: int, *, most: int) -> None:
        if now <= self.valid_after:
            raise InvalidPayment(
                "invalid_exact_evm_payload_authorization_valid_after",
                f"good only after {self.valid_after}, it is {now}",
            )
        if now + LEAST_SECONDS_LEFT >= self.valid_before:
            raise InvalidPayment(
                "invalid_exact_evm_payload_authorization_valid_before",
                f"good until {self.valid_before}, it is {now} and {LEAST_SECONDS_LEFT} s are needed",
            )

        if self.valid_before > now + most + CLOCK_SLACK_SECONDS:
            raise InvalidPayment(
                "invalid_exact_evm_payload_authorization_valid_before",
                f"good until {self.valid_before}, it is {now} and at most {most} s were asked for",
            )

    def _check_signature(self, domain: TokenDomain) -> None:
        if len(self.signature) != SIGNATURE_BYTES:
            raise InvalidPayment(
                "invalid_exact_evm_payload_signature",
                f"a signature of {len(self.signature)} bytes: only a wallet's own key is taken",
            )
        try:
            verify(self.sender, domain.digest(self.struct_hash), self.signature)
        except SignatureMismatch as error:
            raise InvalidPayment("invalid_exact_evm_payload_signature", str(error)) from error

    @property
    def struct_hash(self) -> bytes:
        """Return EIP-712's hashStruct of the transfer."""
        return keccak256(
            TRANSFER_TYPE
            + words_of(
                self.sender, self.recipient, self.value, self.valid_after, self.valid_before, self.nonce
            )
        )


def check_accepted(payment: PaymentPayload, requirements: Requirements) -> None:
    """Raise InvalidPayment unless the client accepts what is required now, and nothing else."""
    accepted = payment.accepted
    if accepted.scheme != SCHEME:
        raise InvalidPayment("unsupported_scheme", f"scheme {accepted.scheme}, only {SCHEME} is taken")
    if accepted.network != requirements.network:
        raise InvalidPayment("invalid_network", f"network {accepted.network}, this is {requirements.network}")
    if _plain(accepted) != _plain(requirements):
        raise InvalidPayment(
            "invalid_payment_requirements", "what was accepted is not what is required now: see accepts"
        )


def _plain(requirements: Requirements) -> Requirements:
    """Return it with addresses in one spelling: checksummed or not, they are the same."""
    return requirements.model_copy(
        update={"asset": requirements.asset.lower(), "pay_to": requirements.pay_to.lower()}
    )
