"""Why an agent did what it did: a record of every decision at the table, on the disk before the move is made.

One file a session and side, ``<session>.<side>.jsonl``: a first line with what the side wanted, then a line
for each decision. They are the agent's own business and never sent: they hold what it would have settled for.
"""

import errno
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from hireling.bargaining.preferences import AdditiveUtility, Issue, Outcome
from hireling.bargaining.session import Accept, Counter, Decision, Estimate, SessionView
from hireling.durable import make_private_folder, sync_folder, write_atomically

Side = Literal["owner", "renter"]
Move = Literal["counter", "accept", "end"]
PRIVATE_FILE = 0o600


class Line(BaseModel):
    """The base of what is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KeptUtility(Line):
    """A utility as it is kept; see ``preferences.AdditiveUtility``."""

    weights: tuple[float, ...]
    worths: tuple[tuple[float, ...], ...]
    excluded: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, utility: AdditiveUtility) -> Self:
        """Return a utility to keep."""
        excluded = tuple(tuple(sorted(values)) for values in utility.excluded)
        return cls(weights=utility.weights, worths=utility.worths, excluded=excluded)

    @property
    def utility(self) -> AdditiveUtility:
        """Return the utility that was kept."""
        return AdditiveUtility(
            weights=self.weights, worths=self.worths, excluded=tuple(map(frozenset, self.excluded))
        )


class Wanted(Line):
    """What a side brought to the table."""

    session: str
    side: Side
    at: datetime
    issues: tuple[tuple[str, tuple[int, ...]], ...]
    utility: KeptUtility
    reservation: float
    deadline: int

    @property
    def named_issues(self) -> tuple[Issue, ...]:
        """Return the issues."""
        return tuple(Issue(name, values) for name, values in self.issues)


class Believed(Line):
    """What the side believed of the other one."""

    utility: KeptUtility
    first_demand: float
    last_demand: float

    @classmethod
    def of(cls, estimate: Estimate | None) -> Self | None:
        """Return an estimate to keep."""
        if estimate is None:
            return None
        return cls(
            utility=KeptUtility.of(estimate.utility),
            first_demand=estimate.first_demand,
            last_demand=estimate.last_demand,
        )


class Decided(Line):
    """One decision: what it went by, and what came of it. ``inputs`` is the hash of all it depends on."""

    at: datetime
    round: int
    move: Move
    inputs: str
    strategy: str
    version: int
    target: float
    rule: str
    offers: tuple[Outcome, ...]
    outcome: Outcome | None
    parts: tuple[float, ...]
    estimate: Believed | None


class Signed(Line):
    """That this side signed: what, and which rental it makes once both did."""

    signed: str
    outcome: Outcome
    at: datetime


class Story(Line):
    """All that one side kept of a session."""

    wanted: Wanted
    decisions: tuple[Decided, ...]
    signed: Signed | None = None

    @property
    def offers(self) -> tuple[Outcome, ...]:
        """Return all offers that this side knew of, its own last one included."""
        if not self.decisions:
            return ()
        last = self.decisions[-1]
        own = (last.outcome,) if last.move == "counter" and last.outcome is not None else ()
        return (*last.offers, *own)

    @property
    def deal(self) -> Outcome | None:
        """Return what this side signed, if it did."""
        return self.signed.outcome if self.signed is not None else None


class DecisionLog:
    """One side's folder of records."""

    def __init__(self, folder: Path, *, side: Side) -> None:
        self._folder = folder
        self._side = side

    def note(self, session: str, view: SessionView, decision: Decision, now: datetime) -> None:
        """Keep a decision, on the disk when this returns; the same one again changes nothing."""
        path = make_private_folder(self._folder) / f"{session}.{self._side}.jsonl"
        is_new = not path.exists()
        lines = [] if is_new else path.read_bytes().splitlines()
        if any(f'"{decision.record.inputs}"'.encode() in line and _is_whole(line) for line in lines):
            return
        decided = decided_of(view, decision, now)
        # The session's own line stands first, or not at all: then what was torn is not worth keeping.
        if lines and not _is_whole(lines[0]):
            path.write_bytes(b"")
            lines = []
        first = [] if lines else [wanted_of(session, self._side, view, now)]
        _append(path, [*first, decided])
        if is_new:
            sync_folder(self._folder)

    def note_signed(self, session: str, rental_id: bytes, outcome: Outcome, now: datetime) -> None:
        """Keep that this side signed, as often as it says so."""
        path = self._folder / f"{session}.{self._side}.jsonl"
        if path.exists():
            _append(path, [Signed(signed=f"0x{rental_id.hex()}", outcome=outcome, at=now)])

    def keep_story(self, story: Story) -> None:
        """Keep a whole story that was told elsewhere, instead of what is here of its session."""
        path = make_private_folder(self._folder) / f"{story.wanted.session}.{self._side}.jsonl"
        lines = [story.wanted, *story.decisions, *([story.signed] if story.signed else [])]
        write_atomically(path, "".join(f"{line.model_dump_json()}\n" for line in lines).encode())


def wanted_of(session: str, side: Side, view: SessionView, now: datetime) -> Wanted:
    """Return what a side brought to the table, to keep."""
    return Wanted(
        session=session,
        side=side,
        at=now,
        issues=tuple((issue.name, tuple(map(int, issue.values))) for issue in view.issues),
        utility=KeptUtility.of(view.utility),
        reservation=view.reservation,
        deadline=view.deadline,
    )


def decided_of(view: SessionView, decision: Decision, now: datetime) -> Decided:
    """Return a decision, to keep."""
    record = decision.record
    move: Move = "counter" if isinstance(decision, Counter) else "end"
    return Decided(
        at=now,
        round=view.round,
        move="accept" if isinstance(decision, Accept) else move,
        inputs=record.inputs,
        strategy=record.strategy,
        version=record.version,
        target=record.target,
        rule=record.rule,
        offers=view.offers,
        outcome=record.outcome,
        parts=record.parts,
        estimate=Believed.of(record.estimate),
    )


def read_stories(folder: Path, session: str) -> Sequence[Story]:
    """Return what both sides kept in this folder of the session whose id begins so, the owner's first."""
    stories = []
    for path in sorted(folder.glob("*.jsonl")):
        if not path.name.startswith(session):
            continue
        texts = path.read_text().splitlines()
        # A torn last line is of a decision whose move was never made.
        whole = [text for text in texts if _is_whole(text)]
        if whole:
            stories.append(_story(whole))
    return stories


def sessions_in(folder: Path) -> Sequence[str]:
    """Return the sessions of which records are kept here, the latest first."""
    paths = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    return list(dict.fromkeys(path.name.split(".")[0] for path in paths))


def _story(lines: Sequence[str]) -> Story:
    signed = [text for text in lines[1:] if "signed" in json.loads(text)]
    decided = [text for text in lines[1:] if "signed" not in json.loads(text)]
    return Story(
        wanted=Wanted.model_validate_json(lines[0]),
        decisions=tuple(Decided.model_validate_json(text) for text in decided),
        signed=Signed.model_validate_json(signed[-1]) if signed else None,
    )


def _append(path: Path, lines: Sequence[Line]) -> None:
    text = "".join(f"{line.model_dump_json()}\n" for line in lines).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
    try:
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            text = b"\n" + text
        if os.write(descriptor, text) != len(text):
            raise OSError(errno.ENOSPC, "the disk took a part of a decision", str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_whole(text: str | bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
