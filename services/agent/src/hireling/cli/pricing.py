"""``hireling pricing``: what a machine's pricing agent did or would have done with its price, and why."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hireling.cli.outlet import Outlet
from hireling.cli.pricing_picture import picture
from hireling.cli.surroundings import DEFAULT_HOME, Home, HomeOption, JsonOption
from hireling.device.price_bounds import rules_of
from hireling.device.price_journal import Decided, Seen, decided_record, read_journal
from hireling.device.record_file import LogDamaged
from hireling.drivers.driver import BadInput
from hireling.durable import make_private_folder, write_atomically
from hireling.pricing.comparing import Gain, gain
from hireling.pricing.history import History
from hireling.pricing.learning import Learned, learn
from hireling.pricing.phrases import Say, reason_for
from hireling.rental.money import Token, format_amount

SHOWN = 8


def pricing(
    *,
    machine: Annotated[
        str | None, typer.Option(help="Which machine. Default: the one whose agent decided last.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(help="Where the picture goes. Default: pictures/ in the home folder.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell what a machine's pricing agent did with its price, or in shadow would have done, and why.

    What other prices would have earned is an estimate: nobody knows who would have come.
    """
    outlet, at_home = Outlet(as_json=as_json), Home.at(home)
    try:
        folder = _folder(at_home, machine)
        seen = _read(folder)
        path = svg or make_private_folder(at_home.folder / "pictures") / f"pricing-{folder.name}.svg"
        write_atomically(path, picture(seen).encode())
    except (BadInput, LogDamaged) as error:
        outlet.fail(error)
    if as_json:
        _tell_programs(outlet, seen, path)
        return
    for line in tell(folder.name, seen):
        outlet.console.print(line, markup=False)
    outlet.console.print(f"picture: {path}", markup=False)


def _read(folder: Path) -> Seen:
    seen = read_journal(folder)
    if seen is None or not seen.bounds:
        raise BadInput(f"no pricing agent ran for {folder.name} yet; `hireling device run --pricing shadow`")
    return seen


def tell(name: str, seen: Seen) -> Iterator[str]:
    """Return the lines for people."""
    bounds, token = seen.bounds, Token.model_validate(seen.bounds["token"])

    def say(price: int) -> str:
        return format_amount(price, token)

    listed, floor, ceiling = (say(bounds[which]) for which in ("listed", "floor", "ceiling"))
    yield (
        f"{name}: pricing {bounds['mode']}; its owner asks {listed} per {bounds['unit']},"
        f" and allows {floor} to {ceiling}"
    )
    for decided in list(seen.decisions)[-SHOWN:]:
        yield f"  {decided.at.astimezone(UTC):%b %d %H:%M} UTC: {_what(decided, say)}"
        yield f"    because: {reason_for(decided.reasons, say)}"
    yield from _seen(seen, say)
    yield from _compared(bounds["mode"], estimate(seen))


def estimate(seen: Seen) -> Gain | None:
    """Return what the prices beside the listed ones would have earned, by what is known now."""
    rules, hours = rules_of(seen.bounds), list(seen.hours())
    learned: Learned = learn(History(tuple(hour for hour, _, _ in hours)), rules)
    return gain([(hour, other) for hour, other, _ in hours], learned, rules)


def _what(decided: Decided, say: Say) -> str:
    reasons = decided.reasons
    if not decided.moves:
        return f"left it at {say(reasons.price)}"
    verb = "changed" if decided.mode == "on" else "would have changed"
    return f"{verb} {say(reasons.price)} to {say(reasons.to)}"


def _seen(seen: Seen, say: Say) -> Iterator[str]:
    rows = list(seen.hours())
    idle, busy = (sum(getattr(hour, part) for hour, _, _ in rows) for part in ("idle_hours", "busy_hours"))
    asked, agreed = sum(hour.questions for hour, _, _ in rows), sum(len(hour.agreed) for hour, _, _ in rows)
    yield (
        f"  seen: {idle + busy:.1f} hours, {busy:.1f} of them in use; {asked} questions, {agreed} rentals,"
        f" bills of {say(sum(earned for _, _, earned in rows))}"
    )


def _compared(mode: str, found: Gain | None) -> Iterator[str]:
    whose = "the owner's own price" if mode == "on" else "the prices that it would have listed"
    if found is None:
        yield f"  what {whose} would have earned: too little was seen to say"
        return
    yield (
        f"  an estimate, not a measurement: {whose} would have earned {found.expected:+.0%} beside what was"
        f" listed ({found.low:+.0%} to {found.high:+.0%}); who would have come at a price that nobody saw"
        " is a guess from those who did"
    )


def _tell_programs(outlet: Outlet, seen: Seen, path: Path) -> None:
    for decided in seen.decisions:
        record = decided_record(decided)
        parts = record["parts"] and {key: str(value) for key, value in record["parts"].items()}
        outlet.announce(
            "price_decided",
            decided_at=datetime.fromtimestamp(record["at"], UTC).isoformat(),
            mode=decided.mode,
            price=decided.reasons.to,
            price_before=decided.reasons.price,
            rule=decided.reasons.rule,
            inputs=decided.reasons.inputs,
            parts=parts,
        )
    found = estimate(seen)
    shares = {} if found is None else {key: f"{value:.4f}" for key, value in vars(found).items()}
    outlet.announce("price_estimate", mode=seen.bounds["mode"], gain=shares, path=str(path))


def _folder(home: Home, machine: str | None) -> Path:
    if machine is not None:
        return home.device(machine)
    found = sorted(home.folder.glob("devices/*/pricing.log"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise BadInput(f"no pricing agent ran in {home.folder} yet; `hireling device run --pricing shadow`")
    return found[-1].parent
