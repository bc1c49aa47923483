"""Records of decisions: kept before the move, once, and enough to repeat the decision and to tell why."""

import os
import xml.etree.ElementTree as ET
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hireling.bargaining.round_aware import RoundAware
from hireling.bargaining.session import Counter, SessionView
from hireling.bargaining.talks import Talks
from hireling.bargaining.wishes import OwnerWishes, RenterWishes
from hireling.cli.main import app
from hireling.cli.why import tell
from hireling.cli.why_picture import better_for_both, frontier, picture
from hireling.decision_log import DecisionLog, Side, Story, read_stories, sessions_in
from hireling.rental.agenda import Agenda
from hireling.rental.hashing import keccak256
from hireling.rental.offer import counter, first_offer, terms_of
from hireling.rental.table import Table
from tests.builders import NOW, a_listing, a_request, platform_terms
from tests.unit.agent.disk import full_disk

AGENDA = Agenda(price=tuple(range(100, 49, -5)), deposit=(100, 50), cap=(100, 80))
SESSION = "5e551071"
RENTAL = bytes(32)


def bargain(folder: Path, *, session: str = SESSION, **wishes: Any) -> None:
    """Have two agents bargain, each keeping its records in this folder."""
    listing = a_listing(agenda=AGENDA)
    request = a_request(listing=listing)
    table = Table(listing=listing, request=request)
    parties = (
        OwnerWishes(**{"least_price_percent": 70, **wishes}).preferences(AGENDA, start=request.start_at),
        RenterWishes(least_cap_percent=80).preferences(AGENDA),
    )
    sides: tuple[Side, Side] = ("owner", "renter")
    talks = [Talks(table=table, preferences=each) for each in parties]
    logs = [DecisionLog(folder, side=side) for side in sides]
    offers = [first_offer(listing, request, platform_terms(), NOW, keccak256(b"salt"), session)]
    while True:
        place = len(offers) % 2
        view = talks[place].view(offers)
        decision = talks[place].negotiator.step(view)
        logs[place].note(session, view, decision, NOW + timedelta(seconds=len(offers)))
        if not isinstance(decision, Counter):
            break
        offers.append(counter(offers[-1], terms=talks[place].terms(decision.offer), now=NOW))
    for log in logs:
        log.note_signed(session, RENTAL, table.outcome(terms_of(offers[-1])), NOW)


def stories_in(folder: Path) -> tuple[Story, Story]:
    """Return both sides' stories."""
    owner, renter = read_stories(folder, SESSION)
    return owner, renter


class TestDecisionLog:
    def test_keeps_enough_to_repeat_every_decision(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        for story in stories_in(tmp_path):
            assert story.decisions
            for decided in story.decisions:
                view = SessionView(
                    issues=story.wanted.named_issues,
                    utility=story.wanted.utility.utility,
                    reservation=story.wanted.reservation,
                    deadline=story.wanted.deadline,
                    offers=decided.offers,
                )
                again = RoundAware().step(view)
                assert again.record.inputs == decided.inputs
                assert (again.record.rule, again.record.target) == (decided.rule, decided.target)
                assert (again.record.outcome, again.record.parts) == (decided.outcome, decided.parts)

    def test_keeps_a_decision_that_is_made_again_once(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        before = [len(story.decisions) for story in stories_in(tmp_path)]
        bargain(tmp_path)
        assert [len(story.decisions) for story in stories_in(tmp_path)] == before

    def test_goes_on_after_a_torn_line(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        path = tmp_path / f"{SESSION}.owner.jsonl"
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:2]) + lines[2][: len(lines[2]) // 2])
        owner, _ = stories_in(tmp_path)
        assert len(owner.decisions) == 1
        bargain(tmp_path)
        owner, _ = stories_in(tmp_path)
        assert len(owner.decisions) == len(lines) - 2
        assert owner.signed is not None

    def test_begins_anew_where_its_first_line_is_torn(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        path = tmp_path / f"{SESSION}.owner.jsonl"
        lines = path.read_bytes().splitlines()
        path.write_bytes(lines[0][:40])
        bargain(tmp_path)
        assert path.read_bytes().splitlines() == lines

    def test_is_not_kept_by_half(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        path = tmp_path / f"{SESSION}.owner.jsonl"
        size = len(path.read_bytes().splitlines(keepends=True)[0])
        path.unlink()
        with full_disk(size), pytest.raises(OSError, match="took a part"):
            bargain(tmp_path)

    def test_is_its_owner_s_alone(self, tmp_path: Path) -> None:
        bargain(tmp_path / "decisions")
        for path in (tmp_path / "decisions").iterdir():
            assert path.stat().st_mode & 0o077 == 0
        assert (tmp_path / "decisions").stat().st_mode & 0o077 == 0

    def test_names_the_latest_session_first(self, tmp_path: Path) -> None:
        for number, session in enumerate(("aa", "bb")):
            bargain(tmp_path, session=session)
            for path in tmp_path.glob(f"{session}.*"):
                os.utime(path, (1_000 + number, 1_000 + number))
        assert sessions_in(tmp_path) == ["bb", "aa"]


class TestTell:
    def test_says_in_words_what_was_done_and_why(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        owner, renter = stories_in(tmp_path)
        told = "\n".join(tell([owner, renter]))
        assert f"the owner's agent, session {SESSION}" in told
        assert "of price it would take only 70 to 100 %" in told
        for decided in (*owner.decisions, *renter.decisions):
            assert f"because: {decided.rule}" in told
            assert f"inputs {decided.inputs[:12]}…" in told
        assert owner.deal == renter.deal is not None
        assert owner.deal is not None
        worth = owner.wanted.utility.utility.of(owner.deal)
        assert f"worth {worth:.2f} to the owner" in told

    def test_says_so_where_there_was_no_deal(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        story = stories_in(tmp_path)[1].model_copy(update={"signed": None})
        assert list(tell([story]))[-1] == "no deal is on these records"


class TestPicture:
    def test_shows_both_sides_and_the_deal(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        stories = stories_in(tmp_path)
        words = "".join(ET.fromstring(picture(stories)).itertext())  # noqa: S314  our own
        assert "to the owner" in words
        assert "to the renter" in words
        assert words.count("deal") >= 2
        alone = "".join(ET.fromstring(picture(stories[:1])).itertext())  # noqa: S314  our own
        assert "--also HOME" in alone
        assert "to the renter" not in alone

    def test_draws_the_deals_that_no_other_is_better_than_for_both(self, tmp_path: Path) -> None:
        bargain(tmp_path)
        stories = stories_in(tmp_path)
        first, second = (story.wanted.utility.utility for story in stories)
        line = frontier(stories)
        assert line == sorted(line)
        assert [theirs for _, theirs in line] == sorted((theirs for _, theirs in line), reverse=True)
        kept = [
            (first.of((price, 0, 0, deposit, cap)), second.of((price, 0, 0, deposit, cap)))
            for price in range(len(AGENDA.price))
            for deposit in (0, 1)
            for cap in (0, 1)
        ]
        for ours, theirs in line:
            assert not any(a > ours + 1e-9 and b > theirs + 1e-9 for a, b in kept if min(a, b) >= 0)

    def test_knows_what_would_have_been_better_for_both(self, tmp_path: Path) -> None:
        # The owner does not care about the deposit, and the renter does.
        bargain(tmp_path, weights={"deposit": 0.0})
        stories = stories_in(tmp_path)
        first, second = (story.wanted.utility.utility for story in stories)
        worst_for_both = (AGENDA.price.index(80), 0, 0, 0, 0)
        better = better_for_both(stories, worst_for_both)
        assert better is not None
        assert first.of(better) >= first.of(worst_for_both)
        assert second.of(better) >= second.of(worst_for_both)


class TestCommand:
    def test_tells_the_latest_session_and_draws_it(self, tmp_path: Path) -> None:
        bargain(tmp_path / "decisions")
        result = CliRunner().invoke(app, ["why", "--home", str(tmp_path)])
        assert result.exit_code == 0, result.output
        assert "the renter's agent" in result.output
        svg = tmp_path / "pictures" / f"{SESSION}.svg"
        assert ET.parse(svg).getroot().tag.endswith("svg")  # noqa: S314  our own

    def test_takes_the_other_side_from_another_home(self, tmp_path: Path) -> None:
        bargain(tmp_path / "a" / "decisions")
        (tmp_path / "b" / "decisions").mkdir(parents=True)
        name = f"{SESSION}.owner.jsonl"
        (tmp_path / "a" / "decisions" / name).rename(tmp_path / "b" / "decisions" / name)
        arguments = ["why", SESSION[:4], "--home", str(tmp_path / "a"), "--also", str(tmp_path / "b")]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert "the owner's agent" in result.output
        assert "to the owner and" in result.output or "to the renter and" in result.output

    @pytest.mark.parametrize("session", [["ffff"], []])
    def test_says_where_there_is_nothing(self, tmp_path: Path, session: list[str]) -> None:
        result = CliRunner().invoke(app, ["why", *session, "--home", str(tmp_path)])
        assert result.exit_code == 2
