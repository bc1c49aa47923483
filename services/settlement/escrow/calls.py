"""What is sent to the contracts: the protocol's objects as calldata. Pure: no node is asked.

A ``bytes`` member of a signed object travels as its Keccak-256 and a nested one as its hashStruct, where the
contract reads no more.
"""

from collections.abc import Sequence
from typing import Any

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import Close
from hireling.rental.reading import SignedReading
from hireling.rental.terms import Agreement, Pay, Rules, account_of
from hireling.rental.typed_data import hash_struct
from services.messages.events.listing import DeviceAdmitted
from services.messages.settlement import Permit, TransferAuthorization
from services.settlement.escrow.abi import ANCHOR, ESCROW, REGISTRY, TOKEN, calldata, checksummed
from services.settlement.escrow.deployment import Deployment
from services.settlement.escrow.node import Call
from services.settlement.escrow.packed import Evidence, pack

FULLY_FUNDED_BPS = 10_000
ADDRESS_BYTES = 20
# The escrow credits its own account instead of pushing tokens to this.
NO_PUSH = bytes(ADDRESS_BYTES)
PERMIT_SIGNATURE_BYTES = 65


class Calls:
    """Builds calls for one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def open(self, signed: SignedAgreement, permit: Permit | None) -> Call:
        """Open the rental, funded fully by the renter, with its permit or an allowance it gave before."""
        arguments = (terms(signed.agreement), FULLY_FUNDED_BPS, signed.renter_signature)
        if permit is None:
            return self._escrow("open", *arguments)
        return self._escrow(
            "openWithPermit", *arguments, (permit.value, permit.deadline, *_vrs(permit.signature))
        )

    def claim(self, agreement: Agreement, reading: SignedReading, ceiling: SignedCeiling) -> Call:
        """Claim with the meter's and the renter's agent's signatures.

        The owner's part is pushed where it is an address.
        """
        return self._escrow("claim", claim_row(agreement, reading, ceiling), payee_of(agreement.pay.owner))

    def claim_packed(self, claims: Sequence[Evidence]) -> Call:
        """Claim for many rentals at once; each owner's part is credited inside the escrow.

        A row that does not count is skipped. Raises Unpackable.
        """
        return self._escrow("claimPacked", pack(claims))

    def close(
        self, agreement: Agreement, close: Close, *, owner_signature: bytes, renter_signature: bytes
    ) -> Call:
        """Close by both sides' signatures."""
        closing = (close.use, close.damage, close.valid_until)
        return self._escrow(
            "close", terms(agreement), closing, owner_signature, renter_signature, payees(agreement)
        )

    def exit(self, agreement: Agreement, signature: bytes) -> Call:
        """Give one side's irrevocable notice."""
        return self._escrow("exit", terms(agreement), signature)

    def settle(self, agreement: Agreement) -> Call:
        """Settle by the deadlines."""
        return self._escrow("settle", terms(agreement), payees(agreement))

    def register(self, admitted: DeviceAdmitted) -> Call:
        """Register a device by its meter's proof of possession."""
        return self._call(
            self._deployment.registry,
            REGISTRY,
            "register",
            checksummed(admitted.owner),
            admitted.meter,
            admitted.metadata_hash,
            admitted.valid_until,
            admitted.possession,
        )

    def mint(self, to: bytes, amount: int) -> Call:
        """Mint test tokens: a development chain's only."""
        return self._call(self._deployment.token, TOKEN, "mint", checksummed(to), amount)

    def transfer(self, authorization: TransferAuthorization) -> Call:
        """Move tokens by their holder's ERC-3009 authorisation."""
        return self._call(
            self._deployment.token,
            TOKEN,
            "transferWithAuthorization",
            checksummed(authorization.sender),
            checksummed(authorization.recipient),
            authorization.value,
            authorization.valid_after,
            authorization.valid_before,
            authorization.nonce,
            *_vrs(authorization.signature),
        )

    def announce(self, batch: bytes, root: bytes) -> Call:
        """Tell the root of a batch by event."""
        return self._call(self._deployment.anchor, ANCHOR, "announce", batch, root)

    def slot(self, rental_id: bytes) -> Call:
        """Read a rental's slot."""
        return self._escrow("rentals", rental_id)

    def credit(self, address: bytes) -> Call:
        """Read what the escrow owes an address."""
        return self._escrow("balances", checksummed(self._deployment.token), account_of(address))

    def balance(self, address: bytes) -> Call:
        """Read the tokens an address holds."""
        return self._call(self._deployment.token, TOKEN, "balanceOf", checksummed(address))

    def permit_nonce(self, address: bytes) -> Call:
        """Read an address's next permit nonce."""
        return self._call(self._deployment.token, TOKEN, "nonces", checksummed(address))

    def symbol(self) -> Call:
        """Read the token's symbol."""
        return self._call(self._deployment.token, TOKEN, "symbol")

    def decimals(self) -> Call:
        """Read the token's decimals."""
        return self._call(self._deployment.token, TOKEN, "decimals")

    def _escrow(self, function: str, *arguments: Any) -> Call:
        return self._call(self._deployment.escrow, ESCROW, function, *arguments)

    def _call(self, to: bytes, contract: str, function: str, *arguments: Any) -> Call:
        return Call(to=to, data=calldata(contract, function, *arguments))


def terms(agreement: Agreement) -> tuple[Any, ...]:
    """Return an agreement as the contract's Terms."""
    return pay_tuple(agreement.pay), rules_tuple(agreement.rules)


def pay_tuple(pay: Pay) -> tuple[Any, ...]:
    """Return a Pay as calldata."""
    return (
        account_of(pay.owner),
        account_of(pay.renter_agent),
        account_of(pay.meter),
        checksummed(pay.token),
        checksummed(pay.fee_to),
        pay.fee_bps,
        pay.max_total,
        pay.block_max,
        pay.max_rate_per_hour,
        pay.start_at,
        pay.claim_window,
    )


def rules_tuple(rules: Rules) -> tuple[Any, ...]:
    """Return a Rules as calldata."""
    return (
        account_of(rules.renter),
        account_of(rules.owner_agent),
        checksummed(rules.arbiter),
        rules.deposit,
        rules.fund_by,
        rules.end_by,
        rules.notice,
        rules.challenge_window,
        hash_struct(rules.detail),
    )


def claim_row(agreement: Agreement, reading: SignedReading, ceiling: SignedCeiling) -> tuple[Any, ...]:
    """Return a Claim as calldata."""
    read, allowed = reading.reading, ceiling.ceiling
    return (
        pay_tuple(agreement.pay),
        hash_struct(agreement.rules),
        (read.rental_id, read.seq, read.amount_due, read.last, hash_struct(read.sample)),
        reading.signature,
        (allowed.rental_id, allowed.max_claimable, allowed.ack_amount, allowed.ack_reading),
        ceiling.signature,
    )


def payee_of(signer: bytes) -> str:
    """Return where to push a signer's tokens: its own address, or nowhere."""
    return checksummed(signer if len(signer) == ADDRESS_BYTES else NO_PUSH)


def payees(agreement: Agreement) -> tuple[str, str]:
    """Return the contract's Payees."""
    return payee_of(agreement.pay.owner), payee_of(agreement.rules.renter)


def _vrs(signature: bytes) -> tuple[int, bytes, bytes]:
    if len(signature) != PERMIT_SIGNATURE_BYTES:
        raise ValueError(f"a token's signature has {PERMIT_SIGNATURE_BYTES} bytes, not {len(signature)}")
    return signature[64], signature[:32], signature[32:64]
