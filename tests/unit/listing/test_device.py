"""Who may take part, without a service."""

from datetime import timedelta

import pytest

from hireling.rental.typed_data import Domain
from services.listing.device import admit, check_heartbeat
from services.listing.publication import check_listing, words_of
from services.messages.errors import Refused
from tests.builders import DOMAIN, METER_KEY, NOW, a_listing, a_mandate
from tests.fakes.actors import DeviceActor
from tests.fakes.clock import FixedClock
from tests.fakes.settlement.service import REGISTRY

DEVICE = DeviceActor(clock=FixedClock(NOW))
REGISTRY_DOMAIN = Domain(chain_id=DOMAIN.chain_id, escrow=REGISTRY)
DAY = 86_400


class TestAdmit:
    def test_names_the_device_by_its_meter(self) -> None:
        device = admit(DEVICE.registration(), escrow=DOMAIN, registry=REGISTRY_DOMAIN, now=NOW)
        assert f"0x{device.hex()}" == DEVICE.device

    def test_refuses_a_proof_for_another_registry(self) -> None:
        with pytest.raises(Refused) as caught:
            admit(DEVICE.registration(), escrow=DOMAIN, registry=DOMAIN, now=NOW)
        assert caught.value.code == "possession_not_proven"

    def test_refuses_a_proof_of_a_device_described_otherwise(self) -> None:
        wish = DEVICE.registration().model_copy(update={"metadata_hash": bytes(32)})
        with pytest.raises(Refused) as caught:
            admit(wish, escrow=DOMAIN, registry=REGISTRY_DOMAIN, now=NOW)
        assert caught.value.code == "possession_not_proven"

    @pytest.mark.parametrize(
        ("seconds", "code"), [(0, "possession_expired"), (7 * DAY + 1, "possession_too_long")]
    )
    def test_refuses_a_proof_out_of_time(self, seconds: int, code: str) -> None:
        wish = DEVICE.registration(valid_until=DEVICE.now(seconds))
        with pytest.raises(Refused) as caught:
            admit(wish, escrow=DOMAIN, registry=REGISTRY_DOMAIN, now=NOW)
        assert caught.value.code == code

    def test_refuses_an_expired_mandate(self) -> None:
        late = NOW + timedelta(days=2)
        wish = DEVICE.registration(valid_until=DEVICE.now(3 * DAY))
        with pytest.raises(Refused) as caught:
            admit(wish, escrow=DOMAIN, registry=REGISTRY_DOMAIN, now=late)
        assert caught.value.code == "mandate_invalid"


class TestCheckHeartbeat:
    @pytest.mark.parametrize("seconds", [-60, 60])
    def test_takes_a_clock_a_minute_off(self, seconds: int) -> None:
        check_heartbeat(
            DEVICE.heartbeat(at=DEVICE.now(seconds)),
            device=bytes.fromhex(DEVICE.device[2:]),
            meter=METER_KEY.identity,
            domain=DOMAIN,
            now=NOW,
            skew=timedelta(seconds=60),
        )

    def test_refuses_another_devices(self) -> None:
        with pytest.raises(Refused) as caught:
            check_heartbeat(
                DEVICE.heartbeat(),
                device=bytes(32),
                meter=METER_KEY.identity,
                domain=DOMAIN,
                now=NOW,
                skew=timedelta(seconds=60),
            )
        assert caught.value.code == "wrong_device"


class TestCheckListing:
    @pytest.mark.parametrize("seconds", [0, DAY + 61])
    def test_refuses_one_out_of_time(self, seconds: int) -> None:
        signed = DEVICE.listing(valid_until=DEVICE.now(seconds))
        with pytest.raises(Refused) as caught:
            check_listing(signed, mandate=a_mandate(), meter=METER_KEY.identity, domain=DOMAIN, now=NOW)
        assert caught.value.code == "listing_expiry"

    def test_takes_one_for_a_day(self) -> None:
        signed = DEVICE.listing(valid_until=DEVICE.now(DAY))
        listing = check_listing(
            signed,
            mandate=a_mandate(),
            meter=METER_KEY.identity,
            domain=DOMAIN,
            now=NOW - timedelta(seconds=30),
        )
        assert listing == signed.hash


def test_a_search_looks_at_title_kind_and_place() -> None:
    document = a_listing(title="Prusa MK4", place={"country": "NO", "city": "Oslo"})
    assert words_of(document) == "prusa mk4 appliance oslo no"
