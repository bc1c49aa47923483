"""Two agents written against the documented wire reach an agreement that this project's code finds right.

Over HTTP, and over MQTT.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hireling.rental.agreement import SignedAgreement
from services.embedded.marketplace import Marketplace
from tests.e2e.programs import plain


@pytest.mark.journey
@pytest.mark.parametrize("agents", ["rest_agents.py", "mqtt_agents.py"])
def test_two_agents_that_know_only_the_wire_reach_a_signed_agreement(
    common_market: Marketplace, agents: str
) -> None:
    gateway = common_market.settings.gateway_url
    # Isolated: neither the project's folder nor the environment's variables help it.
    run = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).with_name(agents)), gateway],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        cwd="/",
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["ours"] == []

    assert told["status"] == "agreed"
    assert told["rental_id"] == told["own_rental_id"]
    agreement = SignedAgreement.model_validate_json(json.dumps(told["agreement"]))
    agreement.check(datetime.now(UTC))
    assert f"0x{agreement.rental_id.hex()}" == told["rental_id"]
    assert agreement.offer.model_dump(mode="json") == told["offer"]
    assert (agreement.offer.seconds, agreement.offer.deposit) == (900, 25_000)

    # And anybody replays the whole session, by its id.
    verified = plain("verify", told["quote_id"], "--gateway", gateway)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "the session holds: 7 checks, 2 offers" in verified.stdout
    assert "round 1, renter: price 90 %, duration 75 %, deposit 50 %" in verified.stdout
