"""The way into the broker over HTTP: whom metering lets in, for how long, and whom no longer."""

from typing import Any

import pytest

from hireling.rental.access import NO_RENTAL, BrokerChallenge, SignedBrokerAccess, sign_access
from hireling.rental.broker_users import bargainer_user
from hireling.rental.documents import document_hash
from hireling.rental.listing import SignedListing
from hireling.rental.signing import Signer
from hireling.rental.states import State
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.database import open_database
from services.messages.negotiation import QuoteView
from services.metering.access import fits
from services.metering.access_store import AccessStore
from services.metering.accounts import Accounts, Change
from services.metering.granting import forget_bargainers
from tests.builders import a_key
from tests.fakes.actors import RenterActor
from tests.fakes.front import Front

HALF_A_DAY = 43_200


@pytest.fixture
def one_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let metering start with one seat for bargainers."""
    monkeypatch.setenv("METERING_BARGAINERS", "1")


def wish(front: Front, key: Signer, *, rental_id: str | None = None, **changes: Any) -> SignedBrokerAccess:
    """Answer a fresh challenge."""
    challenge = BrokerChallenge.model_validate(front.get("/v1/broker/challenge"), strict=False)
    return sign_access(
        key,
        front.device.terms.domain,
        challenge.model_copy(update=changes),
        device=from_hex(front.device.device),
        rental_id=NO_RENTAL if rental_id is None else from_hex(rental_id),
    )


def enter(front: Front, key: Signer, *, rental_id: str | None = None) -> dict[str, Any]:
    """Answer a fresh challenge; return the name and the password."""
    answer = front.post("/v1/broker/access", wish(front, key, rental_id=rental_id))
    assert answer.status_code == 200, answer.text
    names: dict[str, Any] = answer.get_json()
    return names


def refusal(front: Front, key: Signer, *, rental_id: str | None = None) -> tuple[int, str]:
    """Answer a fresh challenge; return the status and the code of the problem."""
    return problem(front, wish(front, key, rental_id=rental_id))


def problem(front: Front, signed: SignedBrokerAccess) -> tuple[int, str]:
    answer = front.post("/v1/broker/access", signed)
    return answer.status_code, answer.get_json()["code"]


def known(front: Front) -> Accounts:
    """Return the accounts as the keeper of a broker's door learns them."""
    accounts = Accounts()
    database = open_database(front.urls["metering"])
    accounts.refresh(database, now=front.clock.now())
    database.close()
    return accounts


def a_rental(front: Front, state: State) -> str:
    """Agree on a rental of the device, and have it in this state."""
    rental_id: str = front.agree(front.offered(front.offer_for_hire()))["rental_id"]
    front.wait_for_rental(rental_id)
    move(front, rental_id, state)
    return rental_id


def move(front: Front, rental_id: str, state: State) -> None:
    front.call("settlement", "change_rental", rental_id, {"state": state})


def a_renter(front: Front, name: str) -> RenterActor:
    return RenterActor(clock=front.clock, name=name)


def booked(front: Front, listing: SignedListing, renter: RenterActor, **changes: Any) -> str:
    """Have a rental of this renter's funded."""
    agreed = front.agree(front.offered(listing, renter=renter, **changes), renter=renter)
    rental_id: str = agreed["rental_id"]
    front.wait_for_rental(rental_id)
    move(front, rental_id, State.FUNDED)
    return rental_id


class TestABargainer:
    """A renter's agent with a session and no rental: it signs by the key that asked the question."""

    def test_gets_a_name_of_its_own_for_ten_minutes(self, front: Front) -> None:
        quote_id = front.ask(front.offer_for_hire())
        names = enter(front, front.renter.session_key, rental_id=asked(front, quote_id))
        assert names["username"] == bargainer_user(front.renter.session_key.identity)
        assert names["seconds"] == 600
        account = known(front).get(names["username"])
        assert account is not None
        assert fits(names["password"], account.password_hash)

    def test_enters_by_the_key_that_asked_only(self, front: Front) -> None:
        question = asked(front, front.ask(front.offer_for_hire()))
        for key in (a_key("stranger"), front.renter.wallet, front.device.meter):
            assert refusal(front, key, rental_id=question) == (403, "signature_mismatch")

    def test_enters_by_a_question_that_was_asked(self, front: Front) -> None:
        question = asked(front, front.ask(front.offer_for_hire()))
        key = front.renter.session_key
        assert refusal(front, key, rental_id="0x" + "ab" * 32) == (404, "rental_not_found")
        # The same session's name in another hash: only the whole question counts.
        assert refusal(front, key, rental_id=question[:34] + "ab" * 16) == (403, "other_device")
        elsewhere = wish(front, key, rental_id=question)
        access = elsewhere.access.model_copy(update={"device": bytes(32)})
        assert problem(front, elsewhere.model_copy(update={"access": access})) == (403, "other_device")

    def test_enters_while_its_session_is_open(self, front: Front) -> None:
        quote_id = front.ask(front.offer_for_hire())
        front.clock.advance(seconds=61)
        key = front.renter.session_key
        assert refusal(front, key, rental_id=asked(front, quote_id)) == (403, "quote_closed")

    @pytest.mark.usefixtures("one_seat")
    def test_has_a_seat_while_few_others_bargain(self, front: Front) -> None:
        listing = front.offer_for_hire()
        question = asked(front, front.ask(listing))
        enter(front, front.renter.session_key, rental_id=question)
        late = a_renter(front, "late")
        theirs = asked(front, front.ask(listing, renter=late))
        assert refusal(front, late.session_key, rental_id=theirs) == (503, "too_many_bargainers")
        # Who has a seat keeps it, and a device needs none of these.
        front.clock.advance(seconds=1)
        enter(front, front.renter.session_key, rental_id=question)
        enter(front, front.device.meter)
        front.clock.advance(seconds=600)
        front.call("listing", "heartbeat", front.device.device, front.device.heartbeat())
        theirs = asked(front, front.ask(listing, renter=late))
        enter(front, late.session_key, rental_id=theirs)

    def test_is_forgotten_in_the_end(self, front: Front) -> None:
        front.admit()
        enter(front, front.device.meter)
        question = asked(front, front.ask(front.offer_for_hire()))
        name = enter(front, front.renter.session_key, rental_id=question)["username"]
        database = open_database(front.urls["metering"])
        front.clock.advance(seconds=2 * 600 - 1)
        forget_bargainers(database, now=front.clock.now())
        with database.snapshot() as session:
            assert AccessStore(session).find(name) is not None
        front.clock.advance(seconds=2)
        forget_bargainers(database, now=front.clock.now())
        with database.snapshot() as session:
            assert AccessStore(session).find(name) is None
            assert AccessStore(session).find(front.device.device) is not None
        database.close()


def asked(front: Front, quote_id: str) -> str:
    """Return the hash of the question that a session began with."""
    view = QuoteView.model_validate(front.call("negotiation", "get_quote", quote_id), strict=False)
    return to_hex(document_hash(view.request))


class TestADevice:
    def test_gets_a_name_and_a_password_that_only_it_knows(self, front: Front) -> None:
        front.admit()
        names = enter(front, front.device.meter)
        assert (names["username"], names["seconds"]) == (front.device.device, HALF_A_DAY)
        account = known(front).get(front.device.device)
        assert account is not None
        assert fits(names["password"], account.password_hash)
        assert names["password"] not in account.password_hash

    def test_gets_another_password_each_time_and_the_last_ends(self, front: Front) -> None:
        front.admit()
        first = enter(front, front.device.meter)
        front.clock.advance(seconds=1)
        second = enter(front, front.device.meter)
        account = known(front).get(front.device.device)
        assert account is not None
        assert fits(second["password"], account.password_hash)
        assert not fits(first["password"], account.password_hash)

    def test_is_unknown_before_it_is_admitted(self, front: Front) -> None:
        assert refusal(front, front.device.meter) == (404, "device_not_found")

    def test_enters_by_its_own_key_only(self, front: Front) -> None:
        front.admit()
        assert refusal(front, a_key("stranger")) == (403, "signature_mismatch")

    def test_answers_a_challenge_once(self, front: Front) -> None:
        front.admit()
        signed = wish(front, front.device.meter)
        assert front.post("/v1/broker/access", signed).status_code == 200
        assert problem(front, signed) == (403, "access_replayed")

    def test_answers_a_challenge_in_its_minute(self, front: Front) -> None:
        front.admit()
        signed = wish(front, front.device.meter)
        front.clock.advance(seconds=61)
        assert problem(front, signed) == (403, "challenge_expired")

    def test_answers_a_challenge_of_this_broker(self, front: Front) -> None:
        front.admit()
        elsewhere = wish(front, front.device.meter, broker="mqtt://elsewhere:1883")
        assert problem(front, elsewhere) == (403, "other_broker")

    def test_is_forgotten_when_its_time_is_over(self, front: Front) -> None:
        front.admit()
        enter(front, front.device.meter)
        front.clock.advance(seconds=HALF_A_DAY)
        assert len(known(front)) == 0

    def test_gets_an_answer_that_is_kept_nowhere(self, front: Front) -> None:
        front.admit()
        signed = wish(front, front.device.meter)
        answer = front.post("/v1/broker/access", signed, Idempotency_Key="one")
        assert answer.headers["Cache-Control"] == "no-store"
        again = front.post("/v1/broker/access", signed, Idempotency_Key="one")
        assert again.json["code"] == "access_replayed"  # type: ignore[index]


class TestARevokedKey:
    def revoke(self, front: Front, meter: str = "0x") -> None:
        front.clock.advance(seconds=1)
        front.call("settlement", "change_meter", front.device.device, meter)
        front.platform.wait_until(
            lambda: front.call("listing", "get_device", front.device.device)["meter"] == meter, timeout=20
        )
        front.platform.wait_until(lambda: len(known(front)) == 0, timeout=20)

    def test_is_let_in_no_more_and_neither_lists_nor_lives(self, front: Front) -> None:
        front.offer_for_hire()
        enter(front, front.device.meter)
        self.revoke(front)
        assert refusal(front, front.device.meter) == (403, "meter_revoked")
        heartbeat = front.post(f"/v1/devices/{front.device.device}/heartbeats", front.device.heartbeat())
        assert heartbeat.json["code"] == "signature_mismatch"  # type: ignore[index]

    def test_is_followed_by_the_new_one(self, front: Front) -> None:
        front.admit()
        enter(front, front.device.meter)
        new = a_key("new meter")
        self.revoke(front, f"0x{new.identity.hex()}")
        assert refusal(front, front.device.meter) == (403, "signature_mismatch")
        assert enter(front, new)["username"] == front.device.device

    def test_stays_revoked_though_an_older_change_comes_late(self, front: Front) -> None:
        front.admit()
        enter(front, front.device.meter)
        self.revoke(front)
        front.clock.advance(seconds=-30)
        front.call(
            "settlement", "change_meter", front.device.device, f"0x{front.device.meter.identity.hex()}"
        )
        front.clock.advance(seconds=60)
        front.admit(front.device)
        assert refusal(front, front.device.meter) == (403, "meter_revoked")


class TestARenter:
    def test_enters_by_the_session_key_of_a_rental_in_use(self, front: Front) -> None:
        rental_id = a_rental(front, State.FUNDED)
        names = enter(front, front.renter.session_key, rental_id=rental_id)
        assert names["username"] == f"hireling/{front.device.device}"

    def test_does_not_enter_by_another_key(self, front: Front) -> None:
        rental_id = a_rental(front, State.ACTIVE)
        assert refusal(front, front.device.meter, rental_id=rental_id) == (403, "signature_mismatch")

    def test_enters_before_its_money_where_nobody_else_has_the_machine(self, front: Front) -> None:
        rental_id = a_rental(front, State.AGREED)
        enter(front, front.renter.session_key, rental_id=rental_id)
        move(front, rental_id, State.EXPIRED)
        front.platform.wait_until(lambda: len(known(front)) == 0, timeout=20)

    def test_does_not_enter_before_its_money_where_another_has_booked(self, front: Front) -> None:
        listing = front.offer_for_hire(books_ahead=7 * 86_400)
        booker = a_renter(front, "booker")
        booked(front, listing, booker, start_at=int(front.clock.now().timestamp()) + 86_400)
        rental_id = front.agree(front.offered(listing))["rental_id"]
        front.wait_for_rental(rental_id)
        expected = (403, "rental_not_in_use")
        assert refusal(front, front.renter.session_key, rental_id=rental_id) == expected
        move(front, rental_id, State.FUNDED)
        enter(front, front.renter.session_key, rental_id=rental_id)

    @pytest.mark.parametrize("state", [State.SETTLED, State.CANCELLED])
    def test_does_not_enter_after_the_end(self, front: Front, state: State) -> None:
        rental_id = a_rental(front, state)
        expected = (403, "rental_not_in_use")
        assert refusal(front, front.renter.session_key, rental_id=rental_id) == expected

    def test_of_an_unknown_rental_is_nobody(self, front: Front) -> None:
        front.admit()
        expected = (404, "rental_not_found")
        assert refusal(front, front.renter.session_key, rental_id="0x" + "11" * 32) == expected

    @pytest.mark.parametrize("state", [State.FUNDED, State.ARMED])
    def test_that_booked_ahead_does_not_disturb_one_whose_time_has_come(
        self, front: Front, state: State
    ) -> None:
        listing = front.offer_for_hire(books_ahead=7 * 86_400)
        today, booker = a_renter(front, "today"), a_renter(front, "booker")
        now = int(front.clock.now().timestamp())
        first = booked(front, listing, today, start_at=now, seconds=600)
        later = booked(front, listing, booker, start_at=now + 86_400)
        # Nobody sits there: come in.
        enter(front, booker.session_key, rental_id=later)
        front.clock.advance(seconds=1)
        enter(front, today.session_key, rental_id=first)
        move(front, first, state)
        front.clock.advance(seconds=1)
        assert refusal(front, booker.session_key, rental_id=later) == (409, "seat_taken")
        move(front, first, State.SETTLED)
        front.platform.wait_until(lambda: len(known(front)) == 0, timeout=20)
        enter(front, booker.session_key, rental_id=later)

    def test_whose_time_has_come_takes_the_seat_of_one_that_never_came(self, front: Front) -> None:
        listing = front.offer_for_hire(books_ahead=7 * 86_400)
        absent, punctual = a_renter(front, "absent"), a_renter(front, "punctual")
        now = int(front.clock.now().timestamp())
        first = booked(front, listing, absent, start_at=now + 86_400, seconds=600)
        later = booked(front, listing, punctual, start_at=now + 2 * 86_400)
        enter(front, absent.session_key, rental_id=first)
        front.clock.advance(seconds=2 * 86_400)
        enter(front, punctual.session_key, rental_id=later)

    def test_leaves_when_the_rental_is_over(self, front: Front) -> None:
        rental_id = a_rental(front, State.ACTIVE)
        enter(front, front.renter.session_key, rental_id=rental_id)
        assert len(known(front)) == 1
        move(front, rental_id, State.SETTLED)
        front.platform.wait_until(lambda: len(known(front)) == 0, timeout=20)


class TestAccounts:
    def test_learn_what_changed_and_say_who_is_in_a_hurry(self, front: Front) -> None:
        database, accounts = open_database(front.urls["metering"]), Accounts()
        assert accounts.refresh(database, now=front.clock.now()) is Change.NONE
        front.admit()
        enter(front, front.device.meter)
        assert accounts.refresh(database, now=front.clock.now()) is Change.ADDED
        assert accounts.refresh(database, now=front.clock.now()) is Change.NONE
        front.clock.advance(seconds=1)
        front.call("settlement", "change_meter", front.device.device, "0x")
        front.platform.wait_until(
            lambda: accounts.refresh(database, now=front.clock.now()) is Change.REMOVED, timeout=20
        )
        assert len(accounts) == 0
        database.close()
