"""A machine's pricing agent at work: bounds, shadow, its journal on the disk, and clocks that jump."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import cast

import pytest

from hireling.bargaining.wishes import OwnerWishes
from hireling.device import price_journal
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.device.price_bounds import (
    PricingWishes,
    held_to,
    hours_of_week,
    kept_rules,
    price_rules,
    rules_of,
)
from hireling.device.price_journal import FILE, Mode, PriceJournal, read_journal
from hireling.device.pricing import Pricing
from hireling.device.record_file import LogDamaged, encode
from hireling.drivers.driver import BadInput
from hireling.platform_errors import PlatformUnreachable
from hireling.pricing.rules import HOUR
from hireling.rental.money import Token
from tests.e2e.deal import MACHINE
from tests.integration.agent.parties import Story
from tests.unit.agent.pricing.views import LISTED, RULES
from tests.unit.agent.rentals import HandClock

TOKEN = Token(address=bytes(20), symbol="tUSD", decimals=6, chain_id=1)
MIDNIGHT = datetime.fromisoformat("2026-06-17T00:00:00+00:00")
LOOK_SECONDS = 60.0
FOLDED_AFTER = 100


@dataclass
class Shelf:
    """What a presence is to the pricing agent: where a price is listed, while anybody can be reached."""

    price: int | None = None
    listed: list[int] = field(default_factory=list)
    is_reachable: bool = True

    async def list_at(self, price: int) -> None:
        if not self.is_reachable:
            raise PlatformUnreachable("nobody answers")
        self.price = price
        self.listed.append(price)


@dataclass
class Machine:
    """One machine's home, clock and shelf; its pricing agent may be opened again and again."""

    folder: Path
    clock: HandClock
    shelf: Shelf = field(default_factory=Shelf)
    story: Story = field(default_factory=Story)

    def opened(self, mode: Mode = "on") -> Pricing:
        """Return the agent as a start of the command makes it."""
        pricing = Pricing(
            mode=mode,
            rules=RULES,
            unit="kWh",
            token=TOKEN,
            journal=PriceJournal(self.folder, self.clock.now()),
            clock=self.clock,
            announce=self.story,
        )
        self.shelf.price = pricing.price
        return pricing

    def live(self, pricing: Pricing, hours: float, *, is_free: bool = True) -> None:
        """Let the agent look so often in so many hours."""

        async def look() -> None:
            for _ in range(int(hours * 3600 / LOOK_SECONDS)):
                await pricing.turn(cast("Presence", self.shelf), is_free=is_free)
                self.clock.advance(LOOK_SECONDS)

        asyncio.run(look())


def a_crowd(folder: Path, *, days: int = 14) -> None:
    """Keep the history of a machine that was asked for all the time, and taken whenever it was."""
    lines = []
    for number in range(days * 24):
        at = int((MIDNIGHT - (days * 24 - number) * HOUR).timestamp())
        row = {"idle": 600, "busy": 3000, "questions": 3, "earned": 5, "agreed": [LISTED], "lost": []}
        lines.append(encode({"kind": "row", "key": [at, LISTED, LISTED], **row}))
    (folder / FILE).write_bytes(b"".join(lines))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine that was asked for all the time, at midnight."""
    a_crowd(tmp_path)
    return Machine(tmp_path, HandClock(MIDNIGHT))


class TestOn:
    def test_lists_anew_step_by_step_never_sooner_than_allowed(self, machine: Machine) -> None:
        machine.live(machine.opened(), 3.5, is_free=False)

        assert machine.shelf.listed == [LISTED + step * RULES.step for step in (1, 2, 3, 4)]
        (first, *_) = machine.story.named("price_moved")
        assert (first["price"], first["price_before"]) == (LISTED + RULES.step, LISTED)
        assert "demand carries more" in str(first["reason"])

    def test_never_leaves_the_bounds(self, machine: Machine) -> None:
        machine.live(machine.opened(), 40, is_free=False)

        assert all(RULES.floor <= price <= RULES.ceiling for price in machine.shelf.listed)

    def test_keeps_its_price_and_the_least_time_over_a_kill(self, machine: Machine) -> None:
        machine.live(machine.opened(), 0.1)
        moved = list(machine.shelf.listed)
        again = machine.opened()  # no last word from the first: it was killed
        machine.live(again, 0.5)

        assert again.price == LISTED + RULES.step
        assert machine.shelf.listed == moved

    def test_lists_later_what_could_not_be_listed(self, machine: Machine) -> None:
        machine.shelf.is_reachable = False
        pricing = machine.opened()
        machine.live(pricing, 0.1)
        assert machine.story.named("price_not_listed")
        machine.shelf.is_reachable = True
        machine.live(pricing, 0.1)

        assert machine.shelf.listed == [LISTED + RULES.step]

    def test_waits_for_who_is_at_the_table_but_not_for_ever(self, machine: Machine) -> None:
        pricing = machine.opened()
        pricing.note_asked("q0", LISTED)
        machine.live(pricing, 1 / 60)
        assert machine.shelf.listed == []
        for number in range(1, 40):
            pricing.note_asked(f"q{number}", LISTED)
            machine.live(pricing, 1 / 60)

        assert machine.shelf.listed == [LISTED + RULES.step]

    @pytest.mark.parametrize("back", [timedelta(hours=5), timedelta(days=400)])
    def test_a_clock_set_back_starts_the_least_time_anew(self, machine: Machine, back: timedelta) -> None:
        pricing = machine.opened()
        machine.live(pricing, 0.1)
        machine.clock.at -= back
        machine.live(pricing, 0.8)
        assert len(machine.shelf.listed) == 1
        machine.live(machine.opened(), 0.5)

        assert len(machine.shelf.listed) <= 2

    def test_a_clock_set_forward_makes_no_hour_pass(self, machine: Machine) -> None:
        pricing = machine.opened()
        machine.live(pricing, 0.1)
        machine.clock.at += timedelta(hours=3)
        machine.live(pricing, 0.5)

        assert len(machine.shelf.listed) == 1


class TestShadow:
    def test_notes_what_it_would_do_and_lists_nothing(self, machine: Machine) -> None:
        pricing = machine.opened("shadow")
        machine.live(pricing, 2.2, is_free=False)

        assert machine.shelf.listed == []
        assert pricing.price == LISTED
        assert len(machine.story.named("price_would_move")) == 3
        seen = read_journal(machine.folder)
        assert seen is not None
        assert [one.reasons.to for one in seen.decisions if one.moves] == [
            LISTED + step * RULES.step for step in (1, 2, 3)
        ]
        # Time is counted beside the price that it would have had.
        assert {other for _, price, other in seen.rows if price == LISTED} >= {LISTED + RULES.step}

    def test_does_not_begin_with_shadow_s_price_when_it_is_turned_on(self, machine: Machine) -> None:
        machine.live(machine.opened("shadow"), 2.2)

        assert machine.opened("on").price == LISTED


class TestSessions:
    def test_count_once_and_end_in_a_deal_or_without_one(self, machine: Machine) -> None:
        pricing = machine.opened("shadow")
        for session in ("deal", "left", "deal"):
            pricing.note_asked(session, LISTED)
        pricing.note_bid("left", 300_000)
        pricing.note_deal("deal")
        pricing.note_asked("deal", LISTED)
        pricing.note_earned(123)
        machine.live(pricing, 0.5)

        seen = read_journal(machine.folder)
        assert seen is not None
        row = seen.rows[int(MIDNIGHT.timestamp()), LISTED, LISTED]
        assert (row.questions, row.agreed, row.lost, row.earned) == (2, [LISTED], [300_000], 123)
        assert not seen.open

    def test_of_a_killed_agent_go_on(self, machine: Machine) -> None:
        machine.opened("shadow").note_asked("open", LISTED)
        machine.opened("shadow").note_deal("open")

        seen = read_journal(machine.folder)
        assert seen is not None
        assert seen.rows[int(MIDNIGHT.timestamp()), LISTED, LISTED].agreed == [LISTED]


class TestJournal:
    @pytest.mark.parametrize("junk", [b"junk\n", b'00000000 {"kind":"row"}\n'])
    def test_that_is_damaged_is_put_aside_and_the_bounds_hold(self, machine: Machine, junk: bytes) -> None:
        path = machine.folder / FILE
        whole = path.read_bytes()
        path.write_bytes(junk + whole)
        with pytest.raises(LogDamaged):
            read_journal(machine.folder)

        pricing = machine.opened()
        machine.live(pricing, 1.5)

        (said,) = machine.story.named("price_history_damaged")
        assert f"{FILE}.damaged-" in str(said["detail"])
        assert [found.read_bytes() for found in machine.folder.glob(f"{FILE}.damaged-*")] == [junk + whole]
        assert pricing.price == LISTED
        seen = read_journal(machine.folder)
        assert seen is not None
        assert (seen.bounds["floor"], seen.bounds["ceiling"]) == (RULES.floor, RULES.ceiling)
        assert seen.decisions[-1].reasons.rule == "too little was seen yet"

    def test_torn_in_its_last_line_loses_that_alone(self, machine: Machine) -> None:
        path = machine.folder / FILE
        path.write_bytes(path.read_bytes()[:-20])
        machine.opened()

        assert not machine.story.named("price_history_damaged")

    def test_stays_small_and_says_the_same(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(price_journal, "FOLDED_AFTER", FOLDED_AFTER)
        journal = PriceJournal(machine.folder, MIDNIGHT)
        at = int(MIDNIGHT.timestamp())
        for _ in range(5 * FOLDED_AFTER):
            journal.keep({"kind": "time", "key": [at, LISTED, LISTED], "idle": 1, "busy": 0}, MIDNIGHT)
        journal.keep({"kind": "asked", "session": "q", "key": [at, LISTED, LISTED], "at": at}, MIDNIGHT)
        journal.close()

        lines = (machine.folder / FILE).read_bytes().count(b"\n")
        seen = read_journal(machine.folder)
        assert lines <= 14 * 24 + 2 + FOLDED_AFTER
        assert seen is not None
        assert seen.rows[at, LISTED, LISTED].idle == 5 * FOLDED_AFTER
        assert len(seen.rows) == 14 * 24 + 1
        assert set(seen.open) == {"q"}


class TestBounds:
    WISHES = Wishes(price="0.40", floor_percent=75)
    NOW = MIDNIGHT

    def test_are_what_the_owner_would_bargain_down_to_and_its_ceiling(self) -> None:
        pricing = PricingWishes(mode="on", ceiling="0.60")

        found = price_rules(MACHINE, self.WISHES, pricing, token=TOKEN, now=self.NOW)

        assert (found.floor, found.listed, found.ceiling) == (300_000, 400_000, 600_000)

    def test_take_the_owner_s_words(self) -> None:
        wishes = replace(self.WISHES, says="never under 0.35 per kWh, prefer evenings")

        found = price_rules(
            MACHINE, wishes, PricingWishes(mode="on", ceiling="0.60"), token=TOKEN, now=self.NOW
        )

        assert found.floor == 352_000  # in whole percent of the price, rounded up
        assert found.preferred == hours_of_week("evenings")

    @pytest.mark.parametrize(("ceiling", "said"), [(None, "--ceiling"), ("0.39", "in this order")])
    def test_are_not_guessed(self, ceiling: str | None, said: str) -> None:
        with pytest.raises(BadInput, match=said):
            price_rules(
                MACHINE, self.WISHES, PricingWishes(mode="on", ceiling=ceiling), token=TOKEN, now=self.NOW
            )

    def test_hold_at_the_table_too(self) -> None:
        wishes = OwnerWishes(least_price_percent=75)

        assert held_to(wishes, RULES, 600_000).least_price_percent == 75
        assert held_to(wishes, RULES, 320_000).least_price_percent == 94
        assert held_to(wishes, RULES, RULES.floor).least_price_percent == 100

    def test_are_read_back_from_the_journal(self) -> None:
        rules = replace(RULES, zone=timezone(timedelta(hours=2)), preferred=hours_of_week("nights"))

        assert rules_of(kept_rules(rules, self.NOW)) == rules
        assert len(rules.preferred) == 7 * 7
