"""``hireling why``: why an agent did what it did at the table, in words and as a picture."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer

from hireling.bargaining.preferences import Issue, Outcome
from hireling.bargaining.talks import describe
from hireling.cli.delegate import ask_delegate
from hireling.cli.outlet import Outlet
from hireling.cli.surroundings import (
    DEFAULT_GATEWAY,
    DEFAULT_HOME,
    GatewayOption,
    Home,
    HomeOption,
    JsonOption,
)
from hireling.cli.why_picture import better_for_both, picture
from hireling.decision_log import Decided, Story, read_stories, sessions_in
from hireling.drivers.driver import BadInput
from hireling.durable import make_private_folder, write_atomically

SHOWN_HASH = 12
SESSION_TEXT = 32  # an id of 16 bytes


def why(
    session: Annotated[
        str | None, typer.Argument(help="Which session: its id or the start of it. Default: the latest.")
    ] = None,
    *,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Another home with records of the same session: the other side's, for both views."),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(help="Where the picture goes. Default: pictures/ in the home folder.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Tell why an agent offered, took or left what it did, from the records it kept.

    Of a session in which the marketplace's delegate bargained for a machine of this home's owner, the
    marketplace is asked; give the session's whole id.

    The picture shows what every offer was worth to whichever side's record is at hand; with both, also the
    deals that no other is better than for both.
    """
    outlet = Outlet(as_json=as_json)
    homes = [Home.at(home), *(Home.at(other) for other in also or ())]
    try:
        if session is not None and len(session) == SESSION_TEXT and "owner" in homes[0].keys:
            ask_delegate(outlet, homes[0], gateway, session)
        stories = _find(session, homes)
        path = svg or _picture_path(homes[0], stories[0])
        write_atomically(path, picture(stories).encode())
    except BadInput as error:
        outlet.fail(error)
    if as_json:
        for story in stories:
            outlet.announce("story", **story.model_dump(mode="json"))
        outlet.announce("picture", quote_id=stories[0].wanted.session, path=str(path))
        return
    for line in tell(stories):
        outlet.console.print(line, markup=False)
    outlet.console.print(f"picture: {path}", markup=False)


def _find(session: str | None, homes: Sequence[Home]) -> Sequence[Story]:
    if session is None:
        kept = sessions_in(homes[0].decisions)
        if not kept:
            raise BadInput(f"no agent of {homes[0].folder} kept a record of a session yet")
        session = kept[0]
    found = [story for each in homes for story in read_stories(each.decisions, session)]
    # Two agents of one home, or one home given twice: one story a side.
    stories = list({story.wanted.side: story for story in found}.values())
    if not stories:
        raise BadInput(f"no record of a session that begins with {session}; without one, the latest is told")
    if len({story.wanted.session for story in found}) > 1:
        raise BadInput(f"several sessions begin with {session}: give more of it")
    return stories


def _picture_path(home: Home, story: Story) -> Path:
    return make_private_folder(home.folder / "pictures") / f"{story.wanted.session}.svg"


def tell(stories: Sequence[Story]) -> Iterator[str]:
    """Return a session in plain words, a line each."""
    for story in stories:
        yield from _tell_side(story)
    deal = next((story.deal for story in stories if story.deal is not None), None)
    if deal is None:
        yield "no deal is on these records"
        return
    issues = stories[0].wanted.named_issues
    worths = [f"{story.wanted.utility.utility.of(deal):.2f} to the {story.wanted.side}" for story in stories]
    yield f"the deal: {describe(deal, issues)}, worth {' and '.join(worths)}"
    if len(stories) == 2:
        better = better_for_both(stories, deal)
        yield (
            "no other deal would have been better for both"
            if better is None
            else f"better for both would have been: {describe(better, issues)}"
        )


def _tell_side(story: Story) -> Iterator[str]:
    wanted, issues = story.wanted, story.wanted.named_issues
    utility = wanted.utility.utility
    weighed = ", ".join(
        f"{issue.name} {weight:.0%}"
        for issue, weight in zip(issues, utility.weights, strict=True)
        if weight > 0
    )
    yield f"the {wanted.side}'s agent, session {wanted.session}"
    yield f"  it weighed {weighed}; no deal was worth {wanted.reservation:.2f} to it"
    for issue, kept in zip(issues, utility.allowed, strict=True):
        if len(kept) < len(issue.values):
            yield f"  of {issue.name} it would take only {_values(issue, kept)}"
    for decided in story.decisions:
        yield from _tell_decision(decided, issues)


def _values(issue: Issue, kept: Sequence[int]) -> str:
    values = sorted(int(issue.values[place]) for place in kept)
    unit = "s later" if issue.name == "start" else "%"
    return f"{values[0]} {unit}" if len(values) == 1 else f"{values[0]} to {values[-1]} {unit}"


def _tell_decision(decided: Decided, issues: Sequence[Issue]) -> Iterator[str]:
    verb = {"counter": "offered", "accept": "took", "end": "left"}[decided.move]
    what = f" {describe(decided.outcome, issues)}" if decided.outcome is not None else ""
    at = f"{decided.at.astimezone(UTC):%H:%M:%S}"
    yield f"  round {decided.round} ({at}): {verb}{what}"
    worth = ""
    if decided.outcome is not None:
        parts = ", ".join(_parts(decided.outcome, decided.parts, issues))
        worth = f"worth {sum(decided.parts):.2f} to it ({parts}), "
    yield f"    because: {decided.rule}; {worth}aimed at {decided.target:.2f}"
    if decided.estimate is not None:
        believed = decided.estimate
        open_ones = [place for place, issue in enumerate(issues) if len(issue.values) > 1] or [0]
        most = max(open_ones, key=lambda place: believed.utility.weights[place])
        demands = f"from {believed.first_demand:.2f} to {believed.last_demand:.2f} of its best"
        name = issues[most].name
        yield f"    it believed that {name} matters most to the other side, whose demands went {demands}"
    yield f"    {decided.strategy} version {decided.version}, inputs {decided.inputs[:SHOWN_HASH]}…"


def _parts(outcome: Outcome, parts: Sequence[float], issues: Sequence[Issue]) -> Iterator[str]:
    for issue, part, _ in zip(issues, parts, outcome, strict=True):
        if part > 0:
            yield f"{issue.name} {part:.2f}"
