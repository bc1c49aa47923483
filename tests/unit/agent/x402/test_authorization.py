"""What the official x402 client signs is what the front asks for, and anything else is refused by name."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hireling.renter.wallet import TokenDomain
from hireling.x402.authorization import Authorization, check_accepted
from hireling.x402.words import InvalidPayment, PaymentRequired, Resource, payment_of
from tests.builders import a_key
from tests.unit.agent.x402.payers import DOMAIN, FRONT, PAYER, Payer, requirements


def required(**changes: Any) -> dict[str, Any]:
    """Return an answer of 402."""
    resource = Resource(url="http://front/devices/0x00/rentals", description="A vacuum cleaner for 60 s")
    answer = PaymentRequired(error="pay", resource=resource, accepts=(requirements(**changes),))
    return answer.model_dump(mode="json")


def paid(**changes: Any) -> Authorization:
    """Return what the client signs."""
    payer = Payer()
    return Authorization.of(payment_of(payer.header(payer.pays(required(**changes)))))


def now() -> datetime:
    """Return the time that the client goes by."""
    return datetime.now(UTC)


def refused(authorization: Authorization, *, domain: TokenDomain = DOMAIN, at: datetime | None = None) -> str:
    """Return the code with which an authorisation is refused."""
    with pytest.raises(InvalidPayment) as caught:
        authorization.check(requirements(), domain, at or now())
    return caught.value.code


class TestAuthorization:
    def test_takes_what_the_official_client_signs(self) -> None:
        signed = paid()
        signed.check(requirements(), DOMAIN, now())
        assert (signed.sender, signed.recipient, signed.value) == (PAYER.identity, FRONT.identity, 1_234_567)

    def test_has_one_name_for_each_payer_and_nonce(self) -> None:
        first, second = paid(), paid()
        assert first.id != second.id
        assert first.id == first.model_copy(update={"value": 1}).id

    @pytest.mark.parametrize("amount", ["1234566", "1234568"])
    def test_refuses_another_amount(self, amount: str) -> None:
        code = refused(paid(amount=amount))
        assert code == "invalid_exact_evm_payload_authorization_value_mismatch"

    def test_refuses_another_recipient(self) -> None:
        stranger = f"0x{a_key('stranger').identity.hex()}"
        assert refused(paid(pay_to=stranger)) == "invalid_exact_evm_payload_recipient_mismatch"

    def test_refuses_one_that_lapses_before_it_can_be_settled(self) -> None:
        assert (
            refused(paid(), at=now() + timedelta(seconds=281))
            == "invalid_exact_evm_payload_authorization_valid_before"
        )

    def test_refuses_one_that_is_good_for_longer_than_was_asked(self) -> None:
        # A client's clock may be a little ahead.
        paid().check(requirements(), DOMAIN, now() - timedelta(seconds=100))
        for signed in (paid(max_timeout_seconds=500), paid(max_timeout_seconds=10**9)):
            assert refused(signed) == "invalid_exact_evm_payload_authorization_valid_before"

    def test_refuses_one_that_is_not_good_yet(self) -> None:
        later = paid().model_copy(update={"valid_after": int(now().timestamp()) + 100})
        assert refused(later) == "invalid_exact_evm_payload_authorization_valid_after"

    def test_refuses_a_signature_for_another_token_or_by_another(self) -> None:
        other = TokenDomain(name="USDC", version="2", chain_id=1, contract=DOMAIN.contract)
        assert refused(paid(), domain=other) == "invalid_exact_evm_payload_signature"
        swapped = paid().model_copy(update={"sender": FRONT.identity})
        assert refused(swapped) == "invalid_exact_evm_payload_signature"

    def test_refuses_what_only_a_contract_could_check(self) -> None:
        signed = paid()
        longer = signed.model_copy(update={"signature": signed.signature + bytes(32)})
        assert refused(longer) == "invalid_exact_evm_payload_signature"


class TestCheckAccepted:
    def test_takes_what_is_required_however_addresses_are_spelled(self) -> None:
        payer = Payer()
        said = requirements()
        shouted = said.model_dump(mode="json") | {"payTo": said.pay_to.upper().replace("0X", "0x")}
        payment = payer.pays(required())
        accepted = payment.model_copy(update={"accepted": type(payment.accepted).model_validate(shouted)})
        check_accepted(payment_of(payer.header(accepted)), said)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"scheme": "upto"}, "unsupported_scheme"),
            ({"network": "eip155:1"}, "invalid_network"),
            ({"amount": "1"}, "invalid_payment_requirements"),
            ({"extra": {"name": "USDC", "version": "2", "seconds": 1.5}}, "invalid_payment_requirements"),
        ],
    )
    def test_refuses_what_is_not_required_now(self, changes: dict[str, Any], code: str) -> None:
        payer = Payer()
        payment = payer.pays(required())
        accepted = payment.model_copy(update={"accepted": payment.accepted.model_copy(update=changes)})
        with pytest.raises(InvalidPayment) as caught:
            check_accepted(payment_of(payer.header(accepted)), requirements())
        assert caught.value.code == code


class TestPaymentOf:
    @pytest.mark.parametrize(
        "header",
        [
            "",
            "no base64!",
            "p\xe4yment",
            base64.b64encode(b"[]").decode(),
            base64.b64encode(b"\xff").decode(),
            "A" * 9_000,
        ],
    )
    def test_refuses_what_is_none(self, header: str) -> None:
        with pytest.raises(InvalidPayment):
            payment_of(header)

    def test_refuses_another_version(self) -> None:
        payer = Payer()
        said = json.loads(base64.b64decode(payer.header(payer.pays(required()))))
        header = base64.b64encode(json.dumps(said | {"x402Version": 1}).encode()).decode()
        with pytest.raises(InvalidPayment) as caught:
            payment_of(header)
        assert caught.value.code == "invalid_x402_version"
