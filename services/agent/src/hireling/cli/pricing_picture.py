"""A machine's price over time as an SVG: as listed, what it is compared with, and when it was in use."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from hireling.cli.why_picture import COLOURS, EDGE, GREY, WIDTH, text
from hireling.device.price_journal import Seen
from hireling.pricing.history import Hour
from hireling.rental.money import Token, format_amount

HEIGHT = 300
IN_USE = "#dbeafe"
HOUR_SECONDS = 3600
Drawn = Sequence[tuple[Hour, int]]


class Axes:
    """From the first hour to the last, and from the owner's floor to its ceiling."""

    def __init__(self, hours: Drawn, floor: int, ceiling: int) -> None:
        """Measure what is to be drawn."""
        self._began = hours[0][0].at.timestamp()
        self._span = hours[-1][0].at.timestamp() + HOUR_SECONDS - self._began
        self._floor, self._height = floor, max(1, ceiling - floor)

    def x(self, at: float) -> float:
        """Return where a Unix second is."""
        return EDGE + (at - self._began) / self._span * (WIDTH - 2 * EDGE)

    def y(self, price: int) -> float:
        """Return where a price is."""
        share = (price - self._floor) / self._height
        return EDGE + (1 - share) * (HEIGHT - 2 * EDGE)


def picture(seen: Seen) -> str:
    """Return the picture of all that a journal holds."""
    hours = [(hour, other) for hour, other, _ in seen.hours()]
    body = list(_body(seen, hours)) if hours else [text(EDGE, EDGE, "Nothing was seen yet.", fill=GREY)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' font-family="sans-serif" font-size="12"><title>{escape("the price over time")}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>' + "".join(body) + "</svg>\n"
    )


def _body(seen: Seen, hours: Drawn) -> Iterator[str]:
    bounds, token = seen.bounds, Token.model_validate(seen.bounds["token"])
    axes = Axes(hours, bounds["floor"], bounds["ceiling"])
    yield from (_in_use(axes, hour) for hour, _ in hours if hour.busy_seconds)
    for name in ("floor", "listed", "ceiling"):
        y = axes.y(bounds[name])
        yield f'<path d="M{EDGE} {y:.1f}H{WIDTH - EDGE}" stroke="{GREY}" stroke-dasharray="4 4"/>'
        yield text(EDGE + 4, y - 4, f"{name} {format_amount(bounds[name], token)}", fill=GREY)
    other = "the owner's own" if bounds["mode"] == "on" else "what it would have listed"
    yield _steps(axes, [(hour, price) for hour, price in hours], COLOURS["owner"])
    yield _steps(axes, [(hour, hour.price) for hour, _ in hours], COLOURS["renter"])
    yield text(EDGE, EDGE - 16, f"price per {bounds['unit']}", weight="bold")
    yield text(WIDTH - EDGE - 330, EDGE - 16, "— listed", fill=COLOURS["renter"])
    yield text(WIDTH - EDGE - 250, EDGE - 16, f"— {other}", fill=COLOURS["owner"])
    yield text(WIDTH - EDGE, EDGE - 16, "▮ in use", anchor="end", fill="#60a5fa")
    ends = ((hours[0][0].at, "start"), (hours[-1][0].at, "end"))
    for at, anchor in ends:
        x = axes.x(at.timestamp())
        yield text(
            x, HEIGHT - EDGE + 20, f"{datetime.fromtimestamp(at.timestamp(), UTC):%b %d %H:%M}", anchor=anchor
        )


def _in_use(axes: Axes, hour: Hour) -> str:
    began = hour.at.timestamp()
    x, width = axes.x(began), axes.x(began + HOUR_SECONDS) - axes.x(began)
    tall = min(1.0, hour.busy_seconds / HOUR_SECONDS) * (HEIGHT - 2 * EDGE)
    return (
        f'<rect x="{x:.1f}" y="{HEIGHT - EDGE - tall:.1f}" width="{width:.1f}" height="{tall:.1f}"'
        f' fill="{IN_USE}"/>'
    )


def _steps(axes: Axes, prices: Drawn, colour: str) -> str:
    parts = [
        f"{axes.x(hour.at.timestamp()):.1f} {axes.y(price):.1f}"
        f"H{axes.x(hour.at.timestamp() + HOUR_SECONDS):.1f}"
        for hour, price in prices
    ]
    return f'<path d="M{"L".join(parts)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
