"""A marketplace that was restored from a backup: both agents remember what it forgot, or wait no longer."""

from pathlib import Path

import pytest

from hireling.device import agent as device_agent
from hireling.device.log import RentalLog
from hireling.device.rentals import Outcome
from hireling.handing_in import NotTakenBack, PaidOut
from hireling.mandate_ledger import MandateLedger
from hireling.rental.reservation import Stage
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from tests.integration.agent.parties import a_device, a_renter
from tests.integration.agent.test_rental import ROWS, a_marketplace, a_replay, run, the_listing


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have machines look for what was lost more often."""
    monkeypatch.setattr(device_agent, "POLL_WHERE_TOLD_SECONDS", 0.5)


class TestPaidOutBeforeTheBillWasFetched:
    def test_both_sides_end_by_their_last_reading(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                market.loses_what_is_paid = True
                listing = await the_listing(renter, device)
                with pytest.raises(PaidOut):
                    await renter.agent.rent(listing, seconds=60, budget=None)
                outcome = await device.task

                assert isinstance(outcome, Outcome)
                assert not outcome.has_bill
                (page,) = renter.book.pages()
                assert page.stage == "done"
                assert list(renter.book.unfinished()) == []
                assert page.last_reading is not None
                use = page.last_reading.reading.amount_due
                assert use > 0
                rental_id = page.agreement.rental_id
                for side in ("device", "renter"):
                    kept = MandateLedger(tmp_path / side / "mandates.sqlite").reservation(rental_id)
                    assert kept is not None
                    assert (kept.stage, kept.amount) == (Stage.DONE, use)
                said = (
                    renter.story.named("paid_out_without_bill"),
                    device.story.named("paid_out_without_bill"),
                )
                assert [[each["use"] for each in side] for side in said] == [[use], [use]]

                # Nothing is resumed at the next start; the evidence is where it is said to be.
                assert list((tmp_path / "device" / "rentals").glob("*.log")) == []
                log = RentalLog.open(Path(str(said[1][0]["path"])))
                assert log.last is not None
                assert log.last.signed == page.last_reading
                log.close()
                assert said[0][0]["path"] == str(renter.book.path(rental_id))

        run(rental)


class TestOpenedAndNotYetConfirmed:
    def test_the_renter_hands_in_the_agreement(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                market.loses_what_is_funded = True
                listing = await the_listing(renter, device)
                kept = await renter.agent.rent(listing, seconds=60, budget=None)
                await device.task

                assert kept is not None
                assert kept.signed.bill.counters == (ROWS * 500_000,)
                handed_in = renter.story.named("agreement_handed_in") + device.story.named(
                    "agreement_handed_in"
                )
                assert handed_in

        run(rental)


class TestOtherTermsThanBefore:
    def test_the_renter_is_told_and_ends_once_the_escrow_is_done(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(), tmp_path / "device") as device,
                a_renter(market, tmp_path / "renter") as renter,
            ):
                market.loses_what_is_funded = market.has_other_terms = True
                listing = await the_listing(renter, device)
                with pytest.raises(NotTakenBack, match="not_the_platforms_terms"):
                    await renter.agent.rent(listing, seconds=60, budget=None)

                # The owner may claim yet: the money counts, and the rental is still to be ended.
                (page,) = renter.book.unfinished()
                rental_id = page.agreement.rental_id
                ledger = MandateLedger(tmp_path / "renter" / "mandates.sqlite")
                kept = ledger.reservation(rental_id)
                assert kept is not None
                assert (kept.stage, kept.amount) == (Stage.OPENED, page.agreement.agreement.all_in)

                market.lost[to_hex(rental_id)].state = State.SETTLED
                with pytest.raises(PaidOut):
                    await renter.agent.carry(page)
                assert list(renter.book.unfinished()) == []
                kept = ledger.reservation(rental_id)
                assert kept is not None
                assert kept.stage is Stage.DONE

        run(rental)
