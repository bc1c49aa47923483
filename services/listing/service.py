"""The listing service's entrypoints: decode, decide, store, answer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from sqlmodel import Session

from hireling.rental.listing import SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.typed_data import Domain, from_hex
from services.chassis.entrypoints import on_event, rpc, timer
from services.chassis.outbox import add_event
from services.chassis.rows import WrittenJson
from services.chassis.rpc import RpcClient
from services.chassis.service import Service
from services.listing import device as rules
from services.listing import metrics, people, store
from services.listing.cursor import Position
from services.listing.heartbeats import note_alive
from services.listing.models import Device, ListingRow
from services.listing.publication import check_listing, words_of
from services.listing.settings import ListingSettings
from services.messages.errors import Conflict, Invalid, NotFound, OutcomeUnknown, Refused, Unavailable
from services.messages.events.listing import DeviceAdmitted, ListingPublished
from services.messages.events.settlement import DeviceRegistered, MeterChanged
from services.messages.listing import DeviceView, ListingQuery, Registration, SignedHeartbeat
from services.messages.settlement import PlatformView

SETTINGS = ListingSettings()
LARGEST_PAGE = 200
MEASURED_EVERY_SECONDS = 10.0
TOLD_AGAIN_SECONDS = 60.0
_SHOWN = set(DeviceView.model_fields)
_TRUTH = {True: "true", False: "false"}
# Of each bus, since services of several marketplaces may share a process.
_told: WeakKeyDictionary[RpcClient, tuple[float, tuple[Domain, Domain]]] = WeakKeyDictionary()


class Listing(Service):
    """Admits devices, publishes their listings, notes their signs of life, and finds them."""

    name = "listing"
    personal = people.TABLES

    @rpc
    def register_device(self, registration: dict[str, Any]) -> dict[str, Any]:
        """Admit a device and have it registered on the chain; repeating it renews mandate and proof."""
        wish = Registration.model_validate(registration, strict=False)
        escrow, registry = self._domains()
        now = self.clock.now()
        device = rules.admit(wish, escrow=escrow, registry=registry, now=now)
        with self.database.unit_of_work() as session:
            row = self._admitted(session, device, wish, now=now)
            return _device_view(row)

    @rpc
    def get_device(self, device: str) -> dict[str, Any]:
        """Return a device. Raises NotFound."""
        with self.database.looks() as session:
            return _device_view(store.found(store.find_device(session, device), device))

    @rpc
    def devices_of_owner(self, owner: str) -> list[str]:
        """Return the devices that a wallet owns."""
        with self.database.snapshot() as session:
            return people.devices_of(session, owner)

    @rpc
    def list_devices(self, cursor: str | None, limit: int) -> dict[str, Any]:
        """Return a page of devices, newest first."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise Invalid(
                "limit_out_of_range", f"a page has 1 to {LARGEST_PAGE} items, not {limit}", limit=limit
            )
        after = Position.decode(cursor) if cursor else None
        with self.database.snapshot() as session:
            rows = store.page_of_devices(session, after=after, limit=limit)
        more = (
            Position(rows[limit - 1].admitted_at, rows[limit - 1].device).encode()
            if len(rows) > limit
            else None
        )
        return _page([_device_view(row) for row in rows[:limit]], following=more)

    @rpc
    def heartbeat(self, device: str, heartbeat: dict[str, Any]) -> dict[str, Any]:
        """Note a sign of life. The same one again changes nothing; an older one is refused."""
        signed = SignedHeartbeat.model_validate(heartbeat, strict=False)
        escrow, _ = self._domains()
        now = self.clock.now()
        skew = timedelta(seconds=SETTINGS.clock_skew_seconds)
        row = note_alive(self.database, device, signed, domain=escrow, now=now, skew=skew)
        return _device_view(row)

    @rpc
    def publish_listing(self, signed_listing: dict[str, Any]) -> dict[str, Any]:
        """Publish what a device offers from now on, instead of what it offered before.

        The same listing again changes nothing.
        """
        signed = SignedListing.model_validate(signed_listing, strict=False)
        escrow, _ = self._domains()
        now = self.clock.now()
        with self.database.unit_of_work() as session:
            device = f"0x{signed.document.device.hex()}"
            row = store.found(store.lock_device(session, device), device)
            listing = check_listing(
                signed,
                mandate=SignedMandate.model_validate(row.mandate, strict=False),
                meter=from_hex(row.meter),
                domain=escrow,
                now=now,
            )
            known = store.find_listing(session, f"0x{listing.hex()}")
            published = known[0] if known else self._published(session, row, signed, listing=listing, now=now)
            return _listing_view(published, row, now=now)

    @rpc
    def get_listing(self, listing: str) -> dict[str, Any]:
        """Return a listing, whether or not it still counts. Raises NotFound."""
        with self.database.looks() as session:
            found = store.find_listing(session, listing)
        if found is None:
            raise NotFound("listing_not_found", f"no listing {listing}", listing=listing)
        return _listing_view(*found, now=self.clock.now())

    @rpc
    def search_listings(self, query: dict[str, Any]) -> WrittenJson:
        """Return a page of the listings that count now, newest first, as written JSON."""
        wanted = ListingQuery.model_validate(query, strict=False)
        now = self.clock.now()
        alive_since = now - timedelta(seconds=SETTINGS.online_seconds)
        with self.database.glance() as connection:
            found = store.page_of_listings(
                connection,
                kind=wanted.kind,
                words=wanted.q,
                now=now,
                seen_since=alive_since if wanted.online is True else None,
                unseen_since=alive_since if wanted.online is False else None,
                after=Position.decode(wanted.cursor) if wanted.cursor else None,
                limit=wanted.limit,
            )
        shown = found[: wanted.limit]
        more = (
            Position(shown[-1].published_at, shown[-1].listing).encode()
            if len(found) > wanted.limit
            else None
        )
        return _written_page(shown, alive_since=alive_since, following=more)

    @on_event(DeviceRegistered)
    def on_device_registered(self, session: Session, event: DeviceRegistered) -> None:
        """Note that the chain's registry holds the device."""
        device = f"0x{event.device.hex()}"
        row = store.found(store.lock_device(session, device), device)
        row.registered, row.tx_hash = True, f"0x{event.tx_hash.hex()}"

    @on_event(MeterChanged)
    def on_meter_changed(self, session: Session, event: MeterChanged) -> None:
        """Take signs of life by the new key from now on, and by none where the owner revoked it."""
        row = store.lock_device(session, f"0x{event.device.hex()}")
        if row is None or (row.meter_seen_at is not None and event.seen_at < row.meter_seen_at):
            return
        row.meter, row.meter_seen_at = f"0x{event.meter.hex()}", event.seen_at

    @timer(interval=MEASURED_EVERY_SECONDS)
    def measure(self) -> None:
        """Show how many devices there are."""
        now = self.clock.now()
        alive_since = now - timedelta(seconds=SETTINGS.online_seconds)
        with self.database.looks() as session:
            everyone, online = store.count_devices(session, seen_since=alive_since)
            listed = store.count_listed(session, valid_at=int(now.timestamp()))
        metrics.DEVICES.set(everyone)
        metrics.ONLINE.set(online)
        metrics.LISTED.set(listed)

    def _domains(self) -> tuple[Domain, Domain]:
        """Return the domains in which agreements and possession proofs are signed here.

        They are asked for once a minute at most: every sign of life of every device needs them. They do not
        change while settlement runs: where it does not answer, what it said before holds.
        """
        now = monotonic()
        known = _told.get(self.remote)
        if known is None or now - known[0] > TOLD_AGAIN_SECONDS:
            if known is not None:
                _told[self.remote] = now, known[1]  # one asks, nobody else waits
            try:
                return self._ask_for_domains(now)
            except (OutcomeUnknown, Unavailable):
                if known is None:
                    raise
        return known[1]

    def _ask_for_domains(self, now: float) -> tuple[Domain, Domain]:
        told = self.remote.call("settlement", "platform_terms", timeout=SETTINGS.call_seconds)
        platform = PlatformView.model_validate(told, strict=False)
        escrow = Domain(chain_id=platform.chain_id, escrow=platform.escrow)
        registry = Domain(chain_id=platform.chain_id, escrow=platform.registry)
        _told[self.remote] = now, (escrow, registry)
        return escrow, registry

    def _admitted(self, session: Session, device: bytes, wish: Registration, *, now: datetime) -> Device:
        row = store.lock_device(session, f"0x{device.hex()}")
        owner = f"0x{wish.owner.hex()}"
        if row is not None and row.owner != owner:
            raise Conflict("device_owned", f"this device belongs to {row.owner}", owner=row.owner)
        if row is not None and wish.valid_until <= row.possession_valid_until:
            return _unchanged(row, wish)
        to_register = row is None or not row.registered
        if row is None:
            row = Device(
                device=f"0x{device.hex()}",
                owner=owner,
                owner_agent=f"0x{wish.owner_agent.hex()}",
                meter=f"0x{wish.meter.hex()}",
                mandate=wish.mandate.model_dump(mode="json"),
                possession_valid_until=wish.valid_until,
                admitted_at=now,
            )
            session.add(row)
        row.owner_agent = f"0x{wish.owner_agent.hex()}"
        row.mandate = wish.mandate.model_dump(mode="json")
        row.possession_valid_until = wish.valid_until
        if to_register:
            admitted = DeviceAdmitted(
                device=device,
                owner=wish.owner,
                meter=wish.meter,
                metadata_hash=wish.metadata_hash,
                valid_until=wish.valid_until,
                possession=wish.possession,
            )
            add_event(session, admitted, now=now)
        return row

    def _published(
        self, session: Session, device: Device, signed: SignedListing, *, listing: bytes, now: datetime
    ) -> ListingRow:
        document = signed.document
        row = ListingRow(
            listing=f"0x{listing.hex()}",
            device=device.device,
            kind=document.kind,
            words=words_of(document),
            document=document.model_dump(mode="json"),
            signature=f"0x{signed.signature.hex()}",
            valid_until=document.valid_until,
            published_at=now,
        )
        session.add(row)
        device.listing = row.listing
        add_event(
            session,
            ListingPublished(listing=listing, device=document.device, valid_until=document.valid_until),
            now=now,
        )
        return row


def _unchanged(row: Device, wish: Registration) -> Device:
    """Return the row, where an earlier proof says nothing else than it.

    Raises Refused: an old proof must not bring an old agent back.
    """
    said = (f"0x{wish.owner_agent.hex()}", wish.mandate.model_dump(mode="json"))
    if said != (row.owner_agent, row.mandate):
        raise Refused(
            "registration_superseded",
            f"registered with a proof good until {row.possession_valid_until}: only a later one changes that",
            valid_until=wish.valid_until,
            latest=row.possession_valid_until,
        )
    return row


def _page(items: list[dict[str, Any]], *, following: str | None) -> dict[str, Any]:
    return {"items": items, "next": following}


def _device_view(row: Device) -> dict[str, Any]:
    """Return what a DeviceView would say, without building one: what is kept was checked when it came."""
    kept = row.model_dump(include=_SHOWN)
    return {**kept, "last_seen": _moment(row.last_seen)}


def _listing_view(row: ListingRow, device: Device, *, now: datetime) -> dict[str, Any]:
    """Return what a ListingView would say, without building one.

    The document was checked when it was published and is kept as it travels.
    """
    alive_since = now - timedelta(seconds=SETTINGS.online_seconds)
    return {
        "listing": row.listing,
        "document": row.document,
        "signature": row.signature,
        "online": _is_online(device.last_seen, alive_since),
        "registered": device.registered,
        "last_seen": _moment(device.last_seen),
    }


def _written_page(
    found: Sequence[store.Found], *, alive_since: datetime, following: str | None
) -> WrittenJson:
    """Return what a Page of ListingViews would be written as, around the documents as they are kept.

    Fifty documents, read and written again here and at the gateway, would be most of a search's time. What
    else stands in it has no character that JSON would escape: hex, truth values, moments and cursors.
    """
    items = ",".join(
        f'{{"listing":"{each.listing}","document":{each.document},"signature":"{each.signature}",'
        f'"online":{_TRUTH[_is_online(each.last_seen, alive_since)]},"registered":{_TRUTH[each.registered]},'
        f'"last_seen":{_quoted(_moment(each.last_seen))}}}'
        for each in found
    )
    return WrittenJson(f'{{"items":[{items}],"next":{_quoted(following)}}}')


def _quoted(text: str | None) -> str:
    return "null" if text is None else f'"{text}"'


def _is_online(last_seen: datetime | None, alive_since: datetime) -> bool:
    return last_seen is not None and last_seen >= alive_since


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
