"""Every Nameko service and the gateway in one process, on the in-memory bus.

Run by the supervisor as ``python -m services.embedded.platform``.
"""

import services.chassis.green  # noqa: F401  (first: patches the standard library)  # isort: skip

from services.chassis.rpc import RpcClient
from services.chassis.runner import main
from services.chassis.settings import BusSettings
from services.chassis.wsgi import serve
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from services.gateway.unreadable import answer_of
from services.listing.service import Listing
from services.metering.service import Metering
from services.negotiation.service import Negotiation
from services.settlement.service import Settlement


def serve_gateway() -> None:
    """Serve HTTP until the process ends."""
    settings = GatewaySettings()
    rpc = RpcClient(BusSettings().amqp_uri)
    app = create_app(settings, rpc)
    serve(app, host=settings.host, port=settings.port, unreadable=answer_of)


if __name__ == "__main__":
    main(Listing, Negotiation, Metering, Settlement, background=[serve_gateway], process="embedded")
