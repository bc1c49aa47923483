"""The ledger of mandates: what it counts, frees and stops, and that it is a sum after all."""

import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hireling.mandate_ledger import MandateLedger
from hireling.rental.errors import MandateExceeded, SignatureMismatch
from hireling.rental.mandate import Clearance, SignedRevocation, sign_revocation
from hireling.rental.offer import agreement_from
from hireling.rental.reservation import LEASE, OPENING_MARGIN
from hireling.rental.signing import Secp256k1Key
from hireling.rental.terms import Agreement, rental_id
from tests.builders import DOMAIN, NOW, OWNER_AGENT_KEY, OWNER_KEY, a_mandate, a_request, an_offer

AT = int(NOW.timestamp())
FIRST = an_offer()
ALL_IN = FIRST.all_in


def rental(number: int, *, budget: int | None = None) -> Agreement:
    """Return the agreement of this number, of at most this price."""
    return agreement_from(an_offer(request=a_request(budget=budget), salt=number.to_bytes(32)))


def name(agreement: Agreement) -> bytes:
    """Return a rental's id."""
    return rental_id(DOMAIN, agreement)


def a_word(
    *, subject: bytes, stands: bool = True, at: int = AT, key: Secp256k1Key = OWNER_KEY
) -> SignedRevocation:
    """Return a revocation by the mandate's principal."""
    return sign_revocation(key, DOMAIN, subject=subject, stands=stands, at=at)


@pytest.fixture
def ledger(tmp_path: Path) -> MandateLedger:
    """Return an empty ledger."""
    return MandateLedger(tmp_path / "mandates.sqlite")


class TestReserve:
    def test_counts_at_once_and_only_once(self, ledger: MandateLedger) -> None:
        mandate = a_mandate(total=ALL_IN)
        for _ in range(3):
            ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        assert ledger.reserved(mandate, NOW) == ALL_IN

    def test_refuses_rather_than_clips(self, ledger: MandateLedger) -> None:
        mandate = a_mandate(total=2 * ALL_IN - 1)
        ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        with pytest.raises(MandateExceeded, match=f"total: {2 * ALL_IN} exceeds {2 * ALL_IN - 1}"):
            ledger.reserve(mandate, rental(2), domain=DOMAIN, now=NOW)
        assert ledger.reserved(mandate, NOW) == ALL_IN

    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            ({"per_rental": ALL_IN - 1}, "per_rental"),
            ({"max_rate_per_hour": 1}, "max_rate_per_hour"),
            ({"kinds": ("computer",)}, "kinds"),
            ({"approval_above": ALL_IN - 1}, "needs_approval"),
        ],
    )
    def test_keeps_every_limit_of_the_mandate(
        self, ledger: MandateLedger, limits: dict[str, Any], code: str
    ) -> None:
        with pytest.raises(MandateExceeded) as refusal:
            ledger.reserve(
                a_mandate(**limits), rental(1), domain=DOMAIN, now=NOW, clearance=Clearance(kind="appliance")
            )
        assert refusal.value.code == code

    def test_refuses_an_expired_mandate(self, ledger: MandateLedger) -> None:
        with pytest.raises(MandateExceeded, match="the mandate held until"):
            ledger.reserve(a_mandate(), rental(1), domain=DOMAIN, now=NOW + timedelta(days=2))

    def test_refuses_limits_that_the_principal_did_not_sign(self, ledger: MandateLedger) -> None:
        raised = a_mandate().model_copy(update={"limits": a_mandate(total=10**20).limits})
        with pytest.raises(MandateExceeded, match="not the ones the principal signed"):
            ledger.reserve(raised, rental(1), domain=DOMAIN, now=NOW)


class TestRelease:
    def test_frees_what_a_rental_did_not_use(self, ledger: MandateLedger) -> None:
        mandate = a_mandate(total=ALL_IN + 10)
        ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        ledger.note_signed(name(rental(1)), NOW)
        ledger.note_opened(name(rental(1)))
        with pytest.raises(MandateExceeded):
            ledger.reserve(mandate, rental(2), domain=DOMAIN, now=NOW)
        ledger.note_done(name(rental(1)), spent=10)
        ledger.reserve(mandate, rental(2), domain=DOMAIN, now=NOW)
        assert ledger.reserved(mandate, NOW) == ALL_IN + 10

    def test_frees_a_rental_that_never_came_about(self, ledger: MandateLedger) -> None:
        mandate = a_mandate()
        ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        ledger.release(name(rental(1)))
        assert ledger.reserved(mandate, NOW) == 0

    def test_never_frees_what_was_spent(self, ledger: MandateLedger) -> None:
        mandate = a_mandate()
        ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        ledger.note_done(name(rental(1)), spent=7)
        ledger.release(name(rental(1)))
        assert ledger.reserved(mandate, NOW + timedelta(days=30)) == 7

    def test_a_signature_counts_until_the_escrow_cannot_be_opened(self, ledger: MandateLedger) -> None:
        mandate = a_mandate()
        ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        ledger.note_signed(name(rental(1)), NOW)
        unopenable = datetime.fromtimestamp(FIRST.fund_by, tz=NOW.tzinfo) + OPENING_MARGIN
        assert ledger.reserved(mandate, unopenable) == ALL_IN
        assert ledger.reserved(mandate, unopenable + timedelta(seconds=1)) == 0

    def test_an_open_rental_counts_however_long_it_takes(self, ledger: MandateLedger) -> None:
        mandate = a_mandate()
        ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        ledger.note_signed(name(rental(1)), NOW)
        ledger.note_opened(name(rental(1)))
        assert ledger.reserved(mandate, NOW + timedelta(days=365)) == ALL_IN


class TestRevoke:
    @pytest.mark.parametrize(
        "subject",
        [a_mandate().mandate.revocation, OWNER_AGENT_KEY.identity, b""],
        ids=["the mandate", "the agent", "every agent"],
    )
    def test_stops_whatever_was_not_signed_yet(self, ledger: MandateLedger, subject: bytes) -> None:
        mandate = a_mandate()
        ledger.reserve(mandate, rental(1), domain=DOMAIN, now=NOW)
        ledger.revoke(a_word(subject=subject), DOMAIN)
        with pytest.raises(MandateExceeded, match="its principal stopped"):
            ledger.note_signed(name(rental(1)), NOW)
        with pytest.raises(MandateExceeded, match="its principal stopped"):
            ledger.reserve(mandate, rental(2), domain=DOMAIN, now=NOW)

    def test_holds_in_whatever_order_the_words_arrive(self, ledger: MandateLedger) -> None:
        agent = OWNER_AGENT_KEY.identity
        stop, go = a_word(subject=agent, at=AT), a_word(subject=agent, stands=False, at=AT + 1)
        ledger.revoke(go, DOMAIN)
        ledger.revoke(stop, DOMAIN)
        ledger.require_unrevoked(a_mandate())
        ledger.revoke(a_word(subject=agent, at=AT + 1), DOMAIN)
        with pytest.raises(MandateExceeded, match="stopped this agent"):
            ledger.require_unrevoked(a_mandate())

    def test_knows_when_the_last_word_about_a_subject_was_said(self, ledger: MandateLedger) -> None:
        assert ledger.latest_word_at(OWNER_KEY.identity, b"") == 0
        ledger.revoke(a_word(subject=b"", at=AT), DOMAIN)
        ledger.revoke(a_word(subject=OWNER_AGENT_KEY.identity, at=AT + 9), DOMAIN)
        assert ledger.latest_word_at(OWNER_KEY.identity, b"") == AT

    def test_leaves_other_principals_agents_alone(self, ledger: MandateLedger) -> None:
        stranger = Secp256k1Key.generate()
        ledger.revoke(a_word(subject=b"", key=stranger), DOMAIN)
        ledger.revoke(a_word(subject=a_mandate().mandate.revocation, key=stranger), DOMAIN)
        ledger.require_unrevoked(a_mandate())

    def test_refuses_a_forged_word(self, ledger: MandateLedger) -> None:
        forged = a_word(subject=b"", key=Secp256k1Key.generate()).model_copy(
            update={"principal": OWNER_KEY.identity}
        )
        with pytest.raises(SignatureMismatch):
            ledger.revoke(forged, DOMAIN)
        ledger.require_unrevoked(a_mandate())

    def test_of_a_mandate_is_final(self, ledger: MandateLedger) -> None:
        with pytest.raises(MandateExceeded, match="stays revoked"):
            ledger.revoke(a_word(subject=bytes(32), stands=False), DOMAIN)


class TestStanding:
    def test_is_the_granted_one_that_holds_longest(self, ledger: MandateLedger) -> None:
        assert ledger.standing(OWNER_KEY.identity, DOMAIN, NOW) is None
        mandate = a_mandate()
        ledger.grant(mandate, DOMAIN, NOW)
        assert ledger.standing(OWNER_KEY.identity, DOMAIN, NOW) == mandate
        assert ledger.standing(OWNER_KEY.identity, DOMAIN, NOW + timedelta(days=2)) is None
        ledger.revoke(a_word(subject=mandate.mandate.revocation), DOMAIN)
        assert ledger.standing(OWNER_KEY.identity, DOMAIN, NOW) is None
        (account,) = ledger.accounts(NOW)
        assert account.revoked


class LedgerMachine(RuleBasedStateMachine):
    """The ledger beside a model of it: a dictionary, and a clock that only goes forward."""

    TOTAL = 3 * ALL_IN + ALL_IN // 2

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = MandateLedger(self.folder / "mandates.sqlite")
        self.mandate = a_mandate(total=self.TOTAL)
        self.now = NOW
        # rental -> [stage, amount, lapses at]
        self.model: dict[int, tuple[str, int, datetime]] = {}
        self.revoked = False

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def held(self, besides: int | None = None) -> int:
        return sum(
            amount
            for number, (stage, amount, lapses) in self.model.items()
            if number != besides and (stage in {"opened", "done"} or self.now <= lapses)
        )

    @rule(number=st.integers(0, 5))
    def reserve(self, number: int) -> None:
        known = self.model.get(number)
        fits = self.held(besides=number) + ALL_IN <= self.TOTAL
        nothing_new = known is not None and known[0] != "reserved"
        if self.revoked or not (fits or nothing_new):
            with pytest.raises(MandateExceeded) as refusal:
                self.ledger.reserve(self.mandate, rental(number), domain=DOMAIN, now=self.now)
            assert refusal.value.code == ("revoked" if self.revoked else "total")
            return
        self.ledger.reserve(self.mandate, rental(number), domain=DOMAIN, now=self.now)
        if not nothing_new:
            self.model[number] = ("reserved", ALL_IN, self.now + LEASE)

    @rule(number=st.integers(0, 5))
    def sign(self, number: int) -> None:
        known = self.model.get(number)
        allowed = not self.revoked and known is not None and (known[0] != "reserved" or self.now <= known[2])
        if known is None or not allowed:
            with pytest.raises(MandateExceeded):
                self.ledger.note_signed(name(rental(number)), self.now)
            return
        self.ledger.note_signed(name(rental(number)), self.now)
        if known[0] == "reserved":
            unopenable = datetime.fromtimestamp(FIRST.fund_by, tz=NOW.tzinfo) + OPENING_MARGIN
            self.model[number] = ("signed", known[1], unopenable)

    @rule(number=st.integers(0, 5))
    def fund(self, number: int) -> None:
        known = self.model.get(number)
        # The escrow opens only what was signed, and only in time.
        if known is None or known[0] != "signed" or self.now > known[2]:
            return
        self.ledger.note_opened(name(rental(number)))
        self.model[number] = ("opened", *known[1:])

    @rule(number=st.integers(0, 5), spent=st.integers(0, ALL_IN))
    def finish(self, number: int, spent: int) -> None:
        known = self.model.get(number)
        if known is None or known[0] != "opened":
            return
        self.ledger.note_done(name(rental(number)), spent=spent)
        self.model[number] = ("done", spent, known[2])

    @rule(number=st.integers(0, 5))
    def release(self, number: int) -> None:
        known = self.model.get(number)
        if known is not None and known[0] not in {"reserved", "signed"}:
            return
        self.ledger.release(name(rental(number)))
        self.model.pop(number, None)

    @rule(seconds=st.sampled_from([1, 30, 61, 700]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(stands=st.booleans())
    def revoke_or_lift(self, stands: bool) -> None:
        at = int(self.now.timestamp())
        self.now += timedelta(seconds=1)
        self.ledger.revoke(a_word(subject=b"", stands=stands, at=at), DOMAIN)
        self.revoked = stands

    @invariant()
    def counts_as_the_model_and_never_more_than_the_mandate(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert self.ledger.reserved(self.mandate, self.now) == self.held() <= self.TOTAL


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAgainstAModel = LedgerMachine.TestCase
