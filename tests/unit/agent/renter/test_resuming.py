"""Interrupted rentals go on one after the other: what becomes of one holds up no other."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from hireling.cli.outlet import exit_code_of
from hireling.handing_in import NotTakenBack, PaidOut
from hireling.json_rpc import ChainUnreachable
from hireling.keystore import KeystoreError
from hireling.platform_errors import PlatformFault, PlatformRefused, PlatformUnreachable
from hireling.rental.offer import first_offer
from hireling.rental.typed_data import to_hex
from hireling.renter.book import Page, RenterBook, Stage
from hireling.renter.funding import FundingFailed
from hireling.renter.resuming import ASKED_AGAIN_AFTER_SECONDS, NotAllBilled, Resuming, SomeUnanswered
from hireling.renter.settling import BillRefused, Kept
from tests.unit.agent.rentals import START, HandClock, a_listing, a_request, platform_terms, signed_by_both

KEPT = cast(Kept, "a bill")
SILENT = PlatformUnreachable("the marketplace does not answer")
FORGED = BillRefused("the bill does not check")


@dataclass
class Scene:
    """A renter's book, and what happens at each try to carry one of its rentals on, by its session key."""

    book: RenterBook
    script: Mapping[str, Sequence[Kept | Exception | None]]
    moves_to: Stage = "running"
    """Where a try brings a rental before anything else happens."""
    clock: HandClock = field(default_factory=HandClock)
    tried: list[tuple[str, Stage]] = field(default_factory=list)
    said: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number, name in enumerate(self.script):
            listing = a_listing()
            salt = bytes([number + 1]) * 32
            offer = first_offer(listing, a_request(listing), platform_terms(), START, salt, "quote-1")
            self.book.write(Page(agreement=signed_by_both(offer), session_key=name, stage="agreed"))

    @property
    def names(self) -> list[str]:
        """Return whose turn it was, in order."""
        return [name for name, _ in self.tried]

    def id_of(self, name: str) -> str:
        """Return a rental's id."""
        return next(
            to_hex(page.agreement.rental_id) for page in self.book.pages() if page.session_key == name
        )

    def resume(self) -> None:
        """Go on with all of them."""
        asyncio.run(
            Resuming(book=self.book, carry=self._carry, clock=self.clock, announce=self._announce).resume()
        )

    async def _carry(self, page: Page) -> Kept | None:
        name = page.session_key
        outcome = self.script[name][self.names.count(name)]
        self.tried.append((name, page.stage))
        self.book.write(page.model_copy(update={"stage": self.moves_to}))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _announce(self, event: str, **fields: object) -> None:
        self.said.append((event, str(fields["rental_id"]), str(fields["reason"])))


@pytest.fixture
def book(tmp_path: Path) -> RenterBook:
    return RenterBook(tmp_path)


class TestResume:
    def test_says_nothing_where_all_come_to_their_bills(self, book: RenterBook) -> None:
        scene = Scene(book, {"one": [KEPT], "two": [KEPT]})
        scene.resume()
        assert sorted(scene.names) == ["one", "two"]
        assert scene.said == []

    @pytest.mark.parametrize(
        "error",
        [
            NotTakenBack("other terms"),
            FundingFailed("the escrow refuses"),
            FORGED,
            PlatformRefused(status=403, code="blocked", detail="not you"),
            KeystoreError("there is no key"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_goes_on_with_the_others_where_one_is_refused_and_counts_at_the_end(
        self, book: RenterBook, error: Exception
    ) -> None:
        scene = Scene(book, {"first": [error], "good": [KEPT], "last": [error]})
        with pytest.raises(NotAllBilled, match=r"^2 of 3 rentals did not .*: 2 refused; .* open$") as told:
            scene.resume()
        assert sorted(scene.names) == ["first", "good", "last"]
        assert sorted(scene.said) == sorted(
            ("not_resumed", scene.id_of(name), str(error)) for name in ("first", "last")
        )
        assert exit_code_of(told.value) == 1

    @pytest.mark.parametrize("error", [SILENT, PlatformFault("a bug"), ChainUnreachable("no answer")])
    def test_asks_who_did_not_answer_once_more_after_the_others(
        self, book: RenterBook, error: Exception
    ) -> None:
        scene = Scene(book, {"silent": [error, KEPT], "good": [KEPT]})
        began = scene.clock.now()
        scene.resume()
        assert sorted(scene.names[:2]) == ["good", "silent"]
        assert scene.names[2:] == ["silent"]
        assert (scene.clock.now() - began).total_seconds() >= ASKED_AGAIN_AFTER_SECONDS
        # It went on from where the first try had brought it.
        assert [stage for name, stage in scene.tried if name == "silent"] == ["agreed", "running"]

    def test_tells_by_its_exit_code_whether_another_try_is_worth_it(self, book: RenterBook) -> None:
        scene = Scene(book, {"silent": [SILENT, SILENT], "forged": [FORGED], "good": [KEPT]})
        with pytest.raises(SomeUnanswered, match=r"^2 of 3 .*: 1 refused, 1 not answered; .* open$") as told:
            scene.resume()
        assert exit_code_of(told.value) == 3
        assert scene.names.count("forged") == 1

    def test_a_refusal_at_the_second_try_is_one(self, book: RenterBook) -> None:
        scene = Scene(book, {"silent": [SILENT, FORGED]})
        with pytest.raises(NotAllBilled, match=r": 1 refused;") as told:
            scene.resume()
        assert exit_code_of(told.value) == 1

    def test_nothing_is_open_where_all_have_ended(self, book: RenterBook) -> None:
        scene = Scene(book, {"paid out": [PaidOut("no bill")], "cancelled": [None]}, moves_to="done")
        with pytest.raises(NotAllBilled, match=r"^2 of 2 .*: 2 ended without one$"):
            scene.resume()

    def test_hides_no_fault_of_ours(self, book: RenterBook) -> None:
        scene = Scene(book, {"one": [ZeroDivisionError()]})
        with pytest.raises(ZeroDivisionError):
            scene.resume()
