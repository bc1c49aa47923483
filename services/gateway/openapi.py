"""openapi.json, generated from the routes.

``python -m services.gateway.openapi`` writes it, ``--check`` fails where it drifted.
"""

import json
import sys
from pathlib import Path
from typing import Any

from services.chassis.database import open_database
from services.chassis.rpc import RpcClient
from services.gateway.app import create_app
from services.gateway.description import described
from services.gateway.settings import GatewaySettings

COMMITTED = Path(__file__).with_name("openapi.json")


def document() -> dict[str, Any]:
    """Return the OpenAPI document of this version's routes."""
    # Neither is ever used: routes are described, not called. A bus of this process would load eventlet.
    app = create_app(GatewaySettings(), RpcClient("amqp://nowhere"), database=open_database("sqlite://"))
    return described(app)


def text() -> str:
    """Return the document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document; with --check, compare instead, and return 1 where it drifted."""
    if arguments == ["--check"]:
        if COMMITTED.read_text() == text():
            return 0
        sys.stderr.write(f"{COMMITTED} is not what the routes say: run python -m services.gateway.openapi\n")
        return 1
    COMMITTED.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
