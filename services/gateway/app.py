"""The gateway's application: the same under gunicorn's threads and inside the embedded platform's process."""

import threading
import time
from collections.abc import Callable
from importlib.metadata import version

from flask import Response, jsonify
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_openapi3 import Info, OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from services.chassis.clock import Clock, SystemClock
from services.chassis.database import Database, open_database
from services.chassis.rpc import RpcClient
from services.chassis.settings import DatabaseSettings
from services.gateway.asyncapi import COMMITTED
from services.gateway.description import described
from services.gateway.hygiene import register_hygiene
from services.gateway.idempotency import register_idempotency
from services.gateway.metrics import register_metrics
from services.gateway.problems import Problem, problem_of_mistakes, register_error_handlers
from services.gateway.rate_memory import SweptMemory
from services.gateway.routes import (
    agents,
    agreements,
    auctions,
    bills,
    broker,
    delegates,
    devices,
    health,
    listings,
    mandates,
    moves,
    platform,
    quotes,
    refusals,
    rentals,
    wallets,
)
from services.gateway.rpc import EXTENSION, Neighbours
from services.gateway.settings import GatewaySettings
from services.gateway.tracing import register_tracing
from services.gateway.waits import LongPolls
from services.gateway.web import pages

INFO = Info(
    title="Hireling",
    version=version("hireling"),
    description=(
        "Machines that hire themselves out. Integers of money and time travel as decimal strings, bytes as "
        "0x-hex; every error is application/problem+json; POSTs honour an Idempotency-Key; lists are pages "
        "with an opaque cursor."
    ),
)
ROOMS = (
    health,
    platform,
    devices,
    listings,
    quotes,
    auctions,
    agreements,
    delegates,
    mandates,
    moves,
    rentals,
    refusals,
    bills,
    wallets,
    broker,
    agents,
)


def create_app(
    settings: GatewaySettings,
    rpc: RpcClient,
    *,
    database: Database | None = None,
    clock: Clock | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> OpenAPI:
    """Build the application.

    `pause` is how a long poll or live stream waits in this process; the rows are GATEWAY_DATABASE_URL's.
    """
    app = OpenAPI(
        __name__,
        info=INFO,
        doc_ui=False,
        static_folder="web/static",
        template_folder="web/templates",
        validation_error_model=Problem,
        validation_error_callback=problem_of_mistakes,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask types the provider by its base
    app.config["MAX_CONTENT_LENGTH"] = settings.largest_body_bytes
    app.extensions[EXTENSION] = Neighbours(
        caller=rpc,
        settings=settings,
        database=database or open_database(DatabaseSettings.of("gateway").database_url),
        clock=clock or SystemClock(),
        pause=pause,
        long_polls=LongPolls(rpc, settings, pause=pause),
        streams=threading.BoundedSemaphore(settings.max_streams),
    )
    if settings.proxies:
        # Where none is in front, the header is the caller's own word, and is not read.
        near = ProxyFix(
            app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=settings.proxies
        )
        app.wsgi_app = near  # type: ignore[method-assign]  # as Flask's own page on proxies does
    register_error_handlers(app)
    register_tracing(app)
    register_metrics(app)
    limiter = Limiter(
        get_remote_address,
        app=app,
        default_limits=[settings.rate_limit],
        default_limits_cost=moves.cost,
        storage_uri=f"{SweptMemory.STORAGE_SCHEME[0]}://",
    )
    register_hygiene(app)
    register_idempotency(app)
    for room in ROOMS:
        app.register_api(room.routes)
    app.register_blueprint(pages.routes)
    limiter.exempt(health.routes)
    app.add_url_rule("/openapi.json", view_func=lambda: _document(app), endpoint="openapi_document")
    app.add_url_rule("/asyncapi.yaml", view_func=_asyncapi, endpoint="asyncapi_document")
    return app


def _asyncapi() -> Response:
    return Response(COMMITTED.read_text(), mimetype="application/yaml")


def _document(app: OpenAPI) -> Response:
    return jsonify(described(app))
