"""Every signed type: its encoding, its hash, and one value of it with hashStruct and digest."""

from typing import Any

from hireling.rental.access import BrokerAccess, broker_hash
from hireling.rental.agreement import account_of, device_id
from hireling.rental.bill import BillEnvelope
from hireling.rental.ceiling import Ceiling
from hireling.rental.close import (
    Close,
    Damage,
    Deposit,
    Dispute,
    Exit,
    Fund,
    Possession,
    Unlock,
    UnlockAction,
    Withdraw,
)
from hireling.rental.listing import Heartbeat, Listing
from hireling.rental.mandate import Mandate
from hireling.rental.offer import OfferEnvelope, Quote
from hireling.rental.reading import ClockQuality, Reading, ReadingEvent, Sample
from hireling.rental.signing import keccak256
from hireling.rental.typed_data import (
    TypedData,
    digest,
    hash_struct,
    to_hex,
    type_hash,
    type_string,
    wallet_json,
)
from tests.builders import DOMAIN, OWNER_KEY, TOKEN, an_agreement


def word(name: str) -> bytes:
    """Return a bytes32 of this name: the same each time."""
    return keccak256(name.encode())


def examples() -> tuple[TypedData, ...]:
    """Return one value of every signed type, with the widest integers where a width could go wrong."""
    agreement = an_agreement()
    sample = Sample(
        previous=word("previous"),
        counters=(0, 1, (1 << 256) - 1),
        boot=word("boot"),
        monotonic_ms=(1 << 64) - 1,
        wall_ms=1_893_499_200_123,
        clock=ClockQuality.SYNCHRONISED,
        event=ReadingEvent.END,
        flags=(1 << 32) - 1,
    )
    reading = Reading(
        rental_id=word("rental"), seq=(1 << 64) - 1, amount_due=(1 << 96) - 1, last=True, sample=sample
    )
    rental = word("rental")
    return (
        agreement,
        agreement.pay,
        agreement.rules,
        agreement.rules.detail,
        reading,
        sample,
        Ceiling(rental_id=rental, max_claimable=(1 << 96) - 1, ack_amount=1, ack_reading=word("reading")),
        Close(rental_id=rental, use=12_345, damage=678, valid_until=(1 << 40) - 1),
        Fund(rental_id=rental, funded_bps=10_000),
        Exit(rental_id=rental),
        Dispute(rental_id=rental),
        Damage(rental_id=rental, amount=1_000, evidence=word("photograph")),
        Unlock(
            rental_id=rental, device=device_id(b"\x01" * 64), nonce=word("nonce"), action=UnlockAction.STOP
        ),
        Deposit(account=account_of(OWNER_KEY.identity), salt=word("salt")),
        Withdraw(
            account=account_of(OWNER_KEY.identity),
            token=TOKEN,
            to=OWNER_KEY.identity,
            amount=(1 << 128) - 1,
            tip=3,
            nonce=4,
            valid_until=1_893_499_200,
        ),
        Possession(
            owner=OWNER_KEY.identity,
            registry=TOKEN,
            device=device_id(b"\x01" * 64),
            metadata=word("metadata"),
            valid_until=1_893_499_200,
        ),
        Listing(device=word("device"), document=word("document"), valid_until=1_893_499_200),
        Heartbeat(device=word("device"), at=1_893_499_200),
        Mandate(
            agent=b"\x02" * 64,
            limits=word("limits"),
            valid_until=1_893_499_200,
            revocation=word("revocation"),
        ),
        Quote(document=word("request")),
        OfferEnvelope(document=word("offer"), previous=word("request"), round=8, valid_until=1_893_499_200),
        BrokerAccess(
            broker=broker_hash("mqtts://broker.example:8883"),
            device=word("device"),
            rental_id=rental,
            at_ms=(1 << 64) - 1,
            nonce=word("nonce"),
        ),
        BillEnvelope(rental_id=rental, readings_root=word("root"), document=word("bill")),
    )


def vectors() -> dict[str, Any]:
    """Return the vectors of all types."""
    return {
        "domain": DOMAIN.model_dump(mode="json") | {"name": "Hireling", "version": "1"},
        "domain_separator": to_hex(DOMAIN.separator),
        "types": [
            {
                "type": wallet_json(DOMAIN, example)["primaryType"],
                "encoding": type_string(type(example)),
                "type_hash": to_hex(type_hash(type(example))),
                "message": example.model_dump(mode="json"),
                "hash_struct": to_hex(hash_struct(example)),
                "digest": to_hex(digest(DOMAIN, example)),
            }
            for example in examples()
        ],
    }
