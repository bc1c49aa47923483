"""The dashboards, written once as panels and queries: ``python infra/grafana/make_dashboards.py [--check]``.

Grafana's own JSON is too long to keep in step by hand; it lies in dashboards/ and is what Grafana reads.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
COLUMNS, WIDE, HIGH = 24, 8, 8


@dataclass(frozen=True)
class Panel:
    """A panel: its title, its unit in Grafana's words, and its queries under their legends."""

    title: str
    unit: str
    queries: dict[str, str]
    about: str = ""
    is_figure: bool = False
    worst: float | None = None
    """From here on a figure is red."""


@dataclass(frozen=True)
class Dashboard:
    """A dashboard's file name, title and panels, three in a row."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def figure(title: str, unit: str, query: str, *, about: str = "", worst: float | None = None) -> Panel:
    """Return a panel with one number."""
    return Panel(title, unit, {"": query}, about=about, is_figure=True, worst=worst)


def rate(metric: str, *by: str, where: str = "") -> str:
    """Return how often a second a counter rises, by these labels."""
    labels = f" by ({', '.join(by)})" if by else ""
    return f"sum{labels} (rate({metric}{{{where}}}[$__rate_interval]))"


def quantile(part: float, metric: str, *by: str, where: str = "") -> str:
    """Return a quantile of a histogram, by these labels."""
    labels = ", ".join(("le", *by))
    return (
        f"histogram_quantile({part}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"
    )


def of_service(service: str) -> tuple[Panel, ...]:
    """Return what every service has."""
    one = f'service="{service}"'

    def each(metric: str, *by: str) -> dict[str, str]:
        return {" ".join(f"{{{{{label}}}}}" for label in by): rate(metric, *by, where=one)}

    return (
        Panel(
            "Calls answered",
            "reqps",
            {
                "{{method}} {{outcome}}": rate(
                    "hireling_chassis_rpc_served_total", "method", "outcome", where=one
                )
            },
        ),
        Panel(
            "Time a call takes, 95 %",
            "s",
            {"{{method}}": quantile(0.95, "hireling_chassis_rpc_served_seconds", "method", where=one)},
        ),
        Panel(
            "Events heard",
            "ops",
            {
                "{{event}} {{outcome}}": rate(
                    "hireling_chassis_events_heard_total", "event", "outcome", where=one
                )
            },
        ),
        Panel(
            "Events that wait to leave",
            "short",
            {"events": f"max (hireling_chassis_outbox_unsent{{{one}}})"},
            about="Committed, and not on the bus yet. It should return to 0 within a second.",
        ),
        Panel(
            "The oldest of them",
            "s",
            {"age": f"max (hireling_chassis_outbox_age_seconds{{{one}}})"},
        ),
        Panel(
            "Timers",
            "ops",
            {
                "{{timer}} {{outcome}}": rate(
                    "hireling_chassis_timer_runs_total", "timer", "outcome", where=one
                )
            },
        ),
    )


MONEY = Dashboard(
    "money",
    "Hireling: money",
    (
        figure(
            "Drift between our books and the chain",
            "short",
            "max (hireling_settlement_drift_base_units)",
            about="Base units, over all rentals. Anything but 0 is a page: see BooksDiffer in the runbook.",
            worst=1,
        ),
        figure("Rentals that differ", "short", "max (hireling_settlement_differing)", worst=1),
        figure(
            "Missing from the escrow",
            "short",
            "max (hireling_settlement_uncovered_base_units)",
            about="What the escrow's tokens lack of what it holds by our books.",
            worst=1,
        ),
        figure(
            "Last compared",
            "s",
            "max (hireling_settlement_reconciled_age_seconds)",
            about="How long ago a comparison of all rentals ended.",
            worst=900,
        ),
        Panel("Held in escrow", "short", {"held": "max (hireling_settlement_held_base_units)"}),
        Panel(
            "Of that, in dispute", "short", {"in dispute": "max (hireling_settlement_disputed_base_units)"}
        ),
        Panel("Paid so far", "short", {"paid": "max (hireling_settlement_paid_base_units)"}),
        Panel("Rentals by state", "short", {"{{state}}": "max by (state) (hireling_settlement_rentals)"}),
        Panel(
            "Claims",
            "ops",
            {"{{outcome}}": rate("hireling_settlement_claims_total", "outcome")},
        ),
        Panel(
            "Transactions",
            "ops",
            {"{{kind}} {{outcome}}": rate("hireling_settlement_transactions_total", "kind", "outcome")},
        ),
        Panel("Age of the newest block", "s", {"age": "min (hireling_settlement_chain_head_age_seconds)"}),
        Panel("The relayer's coin for gas", "short", {"left": "max (hireling_settlement_relayer_ether)"}),
        Panel("New rentals paused", "short", {"paused": "max (hireling_settlement_opens_paused)"}),
    ),
)

METERING = Dashboard(
    "metering",
    "Hireling: metering",
    (
        Panel(
            "Readings that count",
            "ops",
            {"readings": rate("hireling_metering_readings_accepted_total")},
        ),
        Panel(
            "Messages",
            "ops",
            {
                "received": rate("hireling_metering_messages_received_total"),
                "acknowledged": rate("hireling_metering_acks_total"),
            },
        ),
        Panel(
            "Messages that do not count",
            "ops",
            {"{{code}}": f"{rate('hireling_metering_messages_refused_total', 'code')} or vector(0)"},
        ),
        Panel(
            "From the broker until durable",
            "s",
            {
                "half": quantile(0.5, "hireling_metering_lag_seconds"),
                "99 %": quantile(0.99, "hireling_metering_lag_seconds"),
            },
        ),
        Panel(
            "From the device's clock until durable, 95 %",
            "s",
            {"95 %": quantile(0.95, "hireling_metering_age_seconds")},
        ),
        Panel(
            "A batch's way, 95 %",
            "s",
            {
                "opened": quantile(0.95, "hireling_metering_open_seconds"),
                "committed": quantile(0.95, "hireling_metering_commit_seconds"),
            },
        ),
        Panel("Messages in a batch, half", "short", {"half": quantile(0.5, "hireling_metering_batch_size")}),
        Panel(
            "In hand",
            "short",
            {
                "not durable yet": "sum (hireling_metering_in_hand)",
                "before their agreement": "sum (hireling_metering_early)",
            },
        ),
        figure("Ingests connected to the broker", "short", "sum (hireling_metering_connected)"),
        *of_service("metering"),
    ),
)

GATEWAY = Dashboard(
    "gateway",
    "Hireling: gateway",
    (
        Panel("Requests", "reqps", {"{{status}}": rate("hireling_gateway_requests_total", "status")}),
        Panel(
            "Time a request takes, 95 %",
            "s",
            {"{{route}}": quantile(0.95, "hireling_gateway_request_seconds", "route")},
        ),
        Panel("Live streams", "short", {"open": "sum (hireling_gateway_streams)"}),
        Panel(
            "Calls of services",
            "reqps",
            {"{{service}} {{outcome}}": rate("hireling_chassis_rpc_called_total", "service", "outcome")},
        ),
        Panel(
            "Time a call takes, queue and bus included, 99 %",
            "s",
            {"{{service}}": quantile(0.99, "hireling_chassis_rpc_called_seconds", "service")},
        ),
        Panel("Processes that answer", "short", {"{{process}}": "sum by (process) (up)"}),
    ),
)

DASHBOARDS = (
    MONEY,
    METERING,
    GATEWAY,
    Dashboard(
        "listing",
        "Hireling: listing",
        (
            Panel(
                "Devices",
                "short",
                {
                    "admitted": "max (hireling_listing_devices)",
                    "listed": "max (hireling_listing_listed)",
                    "online": "max (hireling_listing_online)",
                },
            ),
            *of_service("listing"),
        ),
    ),
    Dashboard(
        "negotiation",
        "Hireling: negotiation",
        (
            Panel(
                "Moves over MQTT",
                "ops",
                {
                    "received": rate("hireling_negotiation_moves_received_total"),
                    "sides told": rate("hireling_negotiation_sessions_told_total"),
                },
            ),
            Panel("Moves in hand", "short", {"moves": "sum (hireling_negotiation_in_hand)"}),
            figure("Ingests of moves connected", "short", "sum (hireling_negotiation_connected)"),
            *of_service("negotiation"),
        ),
    ),
    Dashboard("settlement", "Hireling: settlement", of_service("settlement")),
)


def grafana_of(dashboard: Dashboard) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it (schema version 39)."""
    return {
        "uid": f"hireling-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["hireling"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "panels": [_panel(place, panel) for place, panel in enumerate(dashboard.panels)],
    }


def _panel(place: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(place, COLUMNS // WIDE)
    source = {"type": "prometheus", "uid": "prometheus"}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.worst is not None:
        steps.append({"color": "red", "value": panel.worst})
    return {
        "id": place + 1,
        "type": "stat" if panel.is_figure else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": {"x": column * WIDE, "y": row * HIGH, "w": WIDE, "h": HIGH},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": source}
            for number, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def text_of(dashboard: Dashboard) -> str:
    """Return a dashboard's file."""
    return json.dumps(grafana_of(dashboard), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write every dashboard; with --check, compare instead, and return 1 where one differs."""
    files = {FOLDER / f"{dashboard.name}.json": text_of(dashboard) for dashboard in DASHBOARDS}
    if arguments == ["--check"]:
        stale = [path.name for path, text in files.items() if not path.exists() or path.read_text() != text]
        stale += [path.name for path in FOLDER.glob("*.json") if path not in files]
        if stale:
            sys.stderr.write(f"{', '.join(stale)}: run python infra/grafana/make_dashboards.py\n")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in files.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
