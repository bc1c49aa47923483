"""The official x402 client, unmodified, rents a machine through a front, and every unit is accounted for."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from x402.http.clients import wrapRequestsWithPayment

from hireling.rental.bill import SignedBill, verify_bill
from hireling.rental.signing import Secp256k1Key
from services.embedded.marketplace import Marketplace
from tests.e2e.journey import RENTAL_WITHIN, START_WITHIN, Sides, a_trace
from tests.e2e.ports import free_ports
from tests.e2e.programs import Program, running
from tests.unit.agent.x402.payers import Payer

FEE = 10_000  # 0.01 of a token with six decimals
WITHIN = 150.0
SPEED = 20


@dataclass(frozen=True)
class Place:
    """Where a front keeps its payments and listens: a killed one comes back to both."""

    sides: Sides
    port: int

    @property
    def url(self) -> str:
        """Return the front's address."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def open(self) -> Iterator[Program]:
        """Run the front; it listens when the block begins."""
        options = ["--port", str(self.port), "--fee", "0.01", "--home", str(self.sides.home / "front")]
        gateway = ["--gateway", self.sides.market.settings.gateway_url]
        with running("x402", *options, *gateway, log=self.sides.home / "front.log") as program:
            program.wait_for("x402_ready", within=START_WITHIN)
            yield program

    def view(self, payment: str) -> dict[str, Any]:
        """Return what the front says of a payment."""
        found: dict[str, Any] = requests.get(f"{self.url}/rentals/{payment}", timeout=10).json()
        return found

    def bill(self, rental_id: str) -> SignedBill:
        """Return the bill that the front keeps."""
        path = self.sides.home / "front" / "bills" / f"{rental_id}.json"
        return SignedBill.model_validate_json(path.read_bytes())


@pytest.fixture
def place(common_market: Marketplace, tmp_path: Path) -> Place:
    """Return a place for a front of the test's own."""
    return Place(Sides(common_market, tmp_path), free_ports(1)[0])


def a_payer(place: Place) -> tuple[Payer, str]:
    """Return the official client of a new key with test money, and its address."""
    facts = place.sides.get("/v1/platform")
    key = Secp256k1Key.generate()
    address = f"0x{key.identity.hex()}"
    faucet = f"{place.sides.market.settings.gateway_url}/v1/faucet"
    assert requests.post(faucet, json={"address": address}, timeout=30).status_code == 200
    token = bytes.fromhex(facts["token"]["address"][2:])
    return Payer(key, chain_id=facts["chain_id"], token=token), address


def assert_settled(place: Place, payment: str, payer: str, *, had: int) -> None:
    """What was paid is what was spent, earned and sent back, by the front, by the bill and by the chain."""
    view = place.view(payment)
    assert view["stage"] == "done", view
    paid, spent, fee, back = (int(view[name]) for name in ("paid", "spent", "fee", "refund"))
    assert paid == spent + fee + back
    assert fee == FEE
    signed = place.bill(view["rental_id"])
    verify_bill(signed)
    assert signed.bill.spent == spent > 0
    assert place.sides.wealth(payer) == had - spent - fee


def rentals_of(place: Place, device: str) -> list[str]:
    """Return every rental that a device ever had."""
    return [rental["rental_id"] for rental in place.sides.get(f"/v1/rentals?device={device}")["items"]]


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_the_official_client_pays_rents_and_gets_the_rest_back(place: Place, tmp_path: Path) -> None:
    trace = a_trace(tmp_path / "motor.csv", rows=60)
    payer, address = a_payer(place)
    had = place.sides.wealth(address)
    session = wrapRequestsWithPayment(requests.Session(), payer.client)
    with place.sides.device(*trace.driver(SPEED)) as machine, place.open() as front:
        device = machine.of("device_ready")[0]["device"]
        url = f"{place.url}/devices/{device}/rentals"
        answer = session.post(url, json={}, timeout=WITHIN)
        assert answer.status_code == 201, answer.text
        told = payer.http.get_payment_settle_response(answer.headers.get)
        assert (told.success, told.payer, told.amount) == (True, address, answer.json()["paid"])
        payment = answer.json()["payment"]
        front.wait_for("x402_finished", within=RENTAL_WITHIN, where={"payment": payment})

        assert_settled(place, payment, address, had=had)
        bill = place.bill(answer.json()["rental_id"]).bill
        names = [spec.name for spec in bill.rental.offer.tariff.counters]
        assert dict(zip(names, bill.counters, strict=True))["energy_mJ"] == trace.energy_mj

        # The same payment again is the same rental, without the word that stops it: it is on the chain now.
        header = answer.request.headers["PAYMENT-SIGNATURE"]
        again = requests.post(url, json={}, headers={"PAYMENT-SIGNATURE": header}, timeout=WITHIN)
        assert (again.status_code, again.json()["payment"]) == (201, payment)
        assert "stop_token" in answer.json()
        assert "stop_token" not in again.json()
        assert rentals_of(place, device) == [answer.json()["rental_id"]]
        assert place.sides.wealth(address) == had - int(again.json()["spent"]) - FEE
        front_holds = place.sides.wealth(front.of("x402_ready")[0]["address"])
        assert front_holds == FEE


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_front_killed_anywhere_rents_once_and_accounts_for_all(place: Place, tmp_path: Path) -> None:
    trace = a_trace(tmp_path / "motor.csv", rows=1_200)
    payer, address = a_payer(place)
    had = place.sides.wealth(address)
    word = "let me stop it"
    wish = {"stop_hash": f"0x{hashlib.sha256(word.encode()).hexdigest()}"}
    with place.sides.device(*trace.driver(SPEED)) as machine:
        device = machine.of("device_ready")[0]["device"]
        url = f"{place.url}/devices/{device}/rentals"

        with place.open() as front:
            required = requests.post(url, json=wish, timeout=WITHIN)
            assert required.status_code == 402
            headers = {"PAYMENT-SIGNATURE": payer.header(payer.pays(required.json()))}

            def ask_and_be_cut_off() -> None:
                with pytest.raises(requests.RequestException):
                    requests.post(url, json=wish, headers=headers, timeout=WITHIN)

            asking = threading.Thread(target=ask_and_be_cut_off)
            asking.start()
            payment = front.wait_for("x402_paid", within=RENTAL_WITHIN)["payment"]
            front.kill()
            asking.join(30)

        with place.open() as front:
            answer = requests.post(url, json=wish, headers=headers, timeout=WITHIN)
            assert (answer.status_code, answer.json()["payment"]) == (201, payment), answer.text
            assert "stop_token" not in answer.json()
            front.wait_for("unlocked", within=RENTAL_WITHIN)
            front.kill()

        with place.open() as front:
            front.wait_for("reading", within=RENTAL_WITHIN)
            stop = f"{place.url}/rentals/{payment}/stop"
            wrong = requests.post(stop, headers={"Authorization": "Bearer guessed"}, timeout=10)
            assert wrong.status_code == 403
            right = requests.post(stop, headers={"Authorization": f"Bearer {word}"}, timeout=10)
            assert right.status_code == 202
            front.wait_for("x402_finished", within=RENTAL_WITHIN, where={"payment": payment})
            assert_settled(place, payment, address, had=had)
        assert answer.json()["rental_id"] in rentals_of(place, device)
        billed = [
            each for each in rentals_of(place, device) if place.sides.get(f"/v1/rentals/{each}")["bill"]
        ]
        assert billed == [answer.json()["rental_id"]]
