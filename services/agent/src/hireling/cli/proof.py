"""``hireling proof``: that a reading is under a root on the chain, by paths and the chain alone."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from hireling.cli.outlet import NotYet, Outlet, run
from hireling.cli.surroundings import DEFAULT_GATEWAY, GatewayOption, JsonOption
from hireling.device.chain import WrongChain
from hireling.drivers.driver import BadInput
from hireling.json_rpc import JsonRpc
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformRefused
from hireling.rental.anchoring import ReadingProof, check_proof, end_of
from hireling.rental.errors import AnchorInvalid
from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import from_hex, to_hex
from hireling.renter.anchor_log import Announced, first_announced

ADDRESS_BYTES, HASH_BYTES = 20, 32


def proof(
    rental: Annotated[str, typer.Argument(help="The rental's id, 0x-hex.")],
    seq: Annotated[int, typer.Argument(min=0, help="The reading's number.")],
    *,
    rpc: Annotated[
        str | None, typer.Option(help="A node of your own choice: what the chain says counts.")
    ] = None,
    publisher: Annotated[
        str | None, typer.Option(help="Whose word it must be, 0x-hex: else whom the marketplace names.")
    ] = None,
    contract: Annotated[
        str | None, typer.Option(help="Where it must stand, 0x-hex: else where the marketplace says.")
    ] = None,
    from_block: Annotated[
        int, typer.Option(min=0, help="With --rpc: the contract's first block, for nodes that limit ranges.")
    ] = 0,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Fetch a reading with its proof and check both here: its hash, its paths and, with --rpc, the chain.

    Exits with 0 when everything holds, 1 when something does not, 2 for an argument that is none, 3 where
    marketplace or node do not answer, 4 while the day is open or its root not on the chain yet.
    """
    outlet = Outlet(as_json=as_json)
    rental_id = _bytes(outlet, "RENTAL", rental, HASH_BYTES)
    named = {
        "publisher": None if publisher is None else _bytes(outlet, "--publisher", publisher, ADDRESS_BYTES),
        "contract": None if contract is None else _bytes(outlet, "--contract", contract, ADDRESS_BYTES),
    }
    reading, found = run(outlet, lambda: _fetch(gateway, rental_id, seq))
    try:
        check_proof(found, reading.reading)
        _check_place(found, named)
    except AnchorInvalid as error:
        outlet.fail(error)
    _say_paths(outlet, found)
    if rpc is not None:
        _conclude_by_chain(outlet, found, run(outlet, lambda: _look_up(rpc, found, from_block)))
    elif found.announcement.transaction is None:
        outlet.fail(NotYet(f"the root of day {found.day} is counted, and not on the chain yet"))
    else:
        _conclude_by_word(outlet, found)


async def _fetch(gateway: str, rental_id: bytes, seq: int) -> tuple[SignedReading, ReadingProof]:
    platform = PlatformClient(gateway)
    try:
        found = await platform.reading_proof(rental_id, seq)
        readings = await platform.readings(rental_id, after=seq - 1, limit=1)
    except PlatformRefused as error:
        if error.code == "day_not_closed":
            raise NotYet(error.detail) from error
        raise
    finally:
        await platform.close()
    if not readings or (found.rental_id, found.seq) != (rental_id, seq):
        raise AnchorInvalid("other_reading", f"the marketplace answered with another reading than {seq}")
    return readings[0], found


async def _look_up(url: str, found: ReadingProof, from_block: int) -> Announced:
    node, where = JsonRpc(url), found.announcement
    try:
        chain_id = await node.chain_id()
        if chain_id != where.chain_id:
            raise WrongChain(f"the node is on chain {chain_id}, the root on chain {where.chain_id}")
        announced = await first_announced(node, where, found.batch, from_block=from_block)
    finally:
        await node.close()
    if announced is None and where.transaction is None:
        raise NotYet(f"the chain holds no root of day {found.day} yet")
    if announced is None:
        raise AnchorInvalid("not_announced", f"the chain holds no root of day {found.day} by this publisher")
    if announced.root != found.day_root:
        theirs, ours = to_hex(announced.root), to_hex(found.day_root)
        raise AnchorInvalid("other_root", f"the chain holds root {theirs}, the proof leads to {ours}")
    return announced


def _check_place(found: ReadingProof, named: dict[str, bytes | None]) -> None:
    where = {"publisher": found.announcement.publisher, "contract": found.announcement.contract}
    for what, wanted in named.items():
        if wanted is not None and wanted != where[what]:
            detail = f"the marketplace names the {what} {to_hex(where[what])}, not {to_hex(wanted)}"
            raise AnchorInvalid(f"other_{what}", detail)


def _say_paths(outlet: Outlet, found: ReadingProof) -> None:
    date = f"{end_of(found.day - 1):%Y-%m-%d}"
    for passed in (
        f"reading {found.seq} hashes to {to_hex(found.reading)}",
        f"its path of {len(found.reading_path)} leads to its device's root {to_hex(found.device_root)}",
        f"the device's path of {len(found.device_path)} leads to the root of {date}: "
        f"{to_hex(found.day_root)}",
    ):
        outlet.say(f"[green]✓[/green] {passed}")


def _conclude_by_chain(outlet: Outlet, found: ReadingProof, announced: Announced) -> None:
    publisher, at = to_hex(found.announcement.publisher), datetime.fromtimestamp(announced.time, UTC)
    transaction = to_hex(announced.transaction)
    outlet.say(
        f"[green]✓[/green] {publisher} announced it on chain {found.announcement.chain_id} in block"
        f" {announced.block}, {announced.depth} deep, at {at:%Y-%m-%d %H:%M:%S} UTC: {transaction}"
    )
    _announce(outlet, "proven", found, transaction=transaction, block=announced.block)
    outlet.say("the proof holds: the reading was there when that block was made, and has not changed since")


def _conclude_by_word(outlet: Outlet, found: ReadingProof) -> None:
    transaction = to_hex(found.announcement.transaction or b"")
    _announce(outlet, "paths_hold", found, transaction=transaction, block=found.announcement.block)
    outlet.say(f"the paths hold; that {transaction} tells this root is the marketplace's word: see --rpc")


def _announce(
    outlet: Outlet, event: str, found: ReadingProof, *, transaction: str, block: int | None
) -> None:
    outlet.announce(
        event,
        rental_id=to_hex(found.rental_id),
        seq=found.seq,
        day=found.day,
        root=to_hex(found.day_root),
        publisher=to_hex(found.announcement.publisher),
        contract=to_hex(found.announcement.contract),
        transaction=transaction,
        block=block,
    )


def _bytes(outlet: Outlet, what: str, text: str, length: int) -> bytes:
    try:
        value = from_hex(text)
    except ValueError as error:
        outlet.fail(BadInput(f"{what}: {error}"))
    if len(value) != length:
        outlet.fail(BadInput(f"{what} has {len(value)} bytes, not {length}"))
    return value
