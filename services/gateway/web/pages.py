"""The pages and their live streams: drawn on the server, patched in the browser by a few lines of script."""

import json
from collections.abc import Mapping
from datetime import datetime

from flask import Blueprint, Response, render_template

from services.gateway.parameters import RentalPath
from services.gateway.rpc import neighbours, wire
from services.gateway.streams import Look, event_stream
from services.gateway.web.cards import HomeScene, RentalScene
from services.gateway.web.scenes import home_scene, rental_scene
from services.gateway.web.words import moment_words

routes = Blueprint("pages", __name__)


@routes.app_template_filter("moment")
def moment(value: datetime) -> str:
    """Write a moment as UTC."""
    return moment_words(value)


@routes.get("/")
def show_home() -> str:
    """Show what is offered, what runs and what was paid, and keep it live."""
    return render_template("home.html", parts=_home_parts(home_scene(neighbours())))


@routes.get("/live")
def watch_home() -> Response:
    """Stream the first page's parts whenever one changes."""
    here = neighbours()
    return event_stream(here, "parts", lambda: Look(json.dumps(_home_parts(home_scene(here)))))


@routes.get("/rentals/<rental_id>")
def show_rental(rental_id: str) -> str:
    """Show one rental with its readings, transactions, flags and refusals, and keep it live."""
    scene = rental_scene(neighbours(), _checked(rental_id))
    return render_template("rental.html", rental=scene.rental, parts=_rental_parts(scene))


@routes.get("/rentals/<rental_id>/live")
def watch_rental(rental_id: str) -> Response:
    """Stream a rental's parts whenever one changes, until it is over and billed."""
    here = neighbours()
    checked = _checked(rental_id)

    def look() -> Look:
        scene = rental_scene(here, checked)
        return Look(json.dumps(_rental_parts(scene)), last=scene.rental.finished)

    return event_stream(here, "parts", look)


def _checked(rental_id: str) -> str:
    checked: str = wire(RentalPath.model_validate({"rental_id": rental_id}))["rental_id"]
    return checked


def _home_parts(scene: HomeScene) -> Mapping[str, str]:
    return {
        "rentals": render_template("parts/rentals.html", rentals=scene.rentals),
        "listings": render_template("parts/listings.html", listings=scene.listings),
        "bills": render_template("parts/bills.html", bills=scene.bills),
    }


def _rental_parts(scene: RentalScene) -> Mapping[str, str]:
    return {
        "summary": render_template("parts/summary.html", rental=scene.rental),
        "readings": render_template("parts/readings.html", readings=scene.readings, rental=scene.rental),
        "transactions": render_template("parts/transactions.html", rental=scene.rental),
        "flags": render_template("parts/flags.html", flags=scene.flags),
        "refusals": render_template("parts/refusals.html", refusals=scene.refusals),
    }
