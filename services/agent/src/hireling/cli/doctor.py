"""``hireling doctor``: what is missing or unreachable, and what mends it."""

import asyncio
import os
import platform as machine
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import typer

from hireling.broker_pass import BrokerPass
from hireling.cli.machine import only_one
from hireling.cli.outlet import REFUSED, UNREACHABLE, Outlet, run
from hireling.cli.surroundings import (
    DEFAULT_GATEWAY,
    DEFAULT_HOME,
    GatewayOption,
    Home,
    HomeOption,
    JsonOption,
)
from hireling.clock import SystemClock
from hireling.device.chain import EscrowReader, NotFunded
from hireling.drivers.driver import BadInput
from hireling.durable import make_private_folder
from hireling.json_rpc import ChainUnreachable, JsonRpc
from hireling.keystore import KeystoreError
from hireling.mqtt_line import STRANGERS_STAY_OUT, Broker, Entry, MqttLine, NotLetIn
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError
from hireling.platform_views import PlatformView
from hireling.rental.agreement import device_id
from hireling.rental.reading import ClockQuality
from hireling.rental.signing import Signer
from hireling.rental.typed_data import Domain

BROKER_WITHIN_SECONDS = 5.0
LOOK_SECONDS = 0.05
_ACCESS_MEND = "wait a moment and look again; else ask the marketplace's operator"
_ACCESS_MENDS = {
    "device_not_found": "run `hireling device run` once: the machine is not registered here",
    "device_unregistered": "wait until the chain has confirmed its registration",
    "meter_revoked": "give the device a key again on the chain (rotateMeter), as its owner",
    "signature_mismatch": "use the key that the chain names: its owner has replaced this one",
    "challenge_expired": "look at the way to the marketplace: its answers take longer than a minute",
}
LARGEST_CLOCK_ERROR_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    detail: str
    mend: str = ""
    """What to do; empty where all is well."""
    is_remote: bool = False

    @property
    def is_well(self) -> bool:
        """Return whether nothing needs mending."""
        return not self.mend


def doctor(
    *, home: HomeOption = DEFAULT_HOME, gateway: GatewayOption = DEFAULT_GATEWAY, as_json: JsonOption = False
) -> None:
    """Look at everything the other commands need, and say what to do where something is wrong.

    Exits with 0 when all is well, 1 when something here needs mending, 3 when something cannot be reached.
    """
    outlet = Outlet(as_json=as_json)
    findings = run(outlet, lambda: _look(Home.at(home), gateway, outlet))
    ill = [finding for finding in findings if not finding.is_well]
    if not ill:
        outlet.say("all is well")
        return
    raise typer.Exit(UNREACHABLE if all(finding.is_remote for finding in ill) else REFUSED)


async def _look(home: Home, gateway: str, outlet: Outlet) -> list[Finding]:
    findings = []
    async for finding in examine(home, gateway):
        findings.append(finding)
        outlet.announce(
            "checked", what=finding.what, well=finding.is_well, detail=finding.detail, mend=finding.mend
        )
        mark = "[green]✓[/green]" if finding.is_well else "[red]✗[/red]"
        outlet.say(f"{mark} {finding.what}: {finding.detail}")
        if not finding.is_well:
            outlet.say(f"    → {finding.mend}")
    return findings


async def examine(home: Home, gateway: str) -> AsyncIterator[Finding]:
    """Return findings one by one; what needs the marketplace is left out where it does not answer."""
    for local in (_python, lambda: _folder(home), lambda: _keys(home), _clock):
        yield local()
    platform = PlatformClient(gateway)
    try:
        facts = await platform.platform()
        yield Finding("marketplace", f"{gateway} answers, chain {facts.chain_id}, {facts.token.symbol}")
    except PlatformError as error:
        yield Finding(
            "marketplace",
            str(error),
            mend="start one with `make up`, or point --gateway (HIRELING_GATEWAY) to one that runs",
            is_remote=True,
        )
        return
    finally:
        await platform.close()
    yield await _chain(facts)
    yield await _broker(facts)
    for folder in sorted((home.folder / "devices").glob("*")):
        if (folder / "keys" / "meter.json").exists():
            yield await _device(home, folder, facts, gateway)


def _python() -> Finding:
    # The package installs on 3.11 and newer only; the system is what may surprise.
    found = f"Python {machine.python_version()} on {machine.system()} {machine.machine()}"
    if sys.platform != "linux":
        return Finding("system", found, mend="run it on Linux: the host driver reads the kernel's accounting")
    return Finding("system", found)


def _folder(home: Home) -> Finding:
    try:
        make_private_folder(home.folder)
    except OSError as error:
        return Finding(
            "home", f"{home.folder}: {error.strerror}", mend="choose another one: --home, HIRELING_HOME"
        )
    if not os.access(home.folder, os.W_OK | os.X_OK):
        return Finding(
            "home", f"{home.folder} cannot be written", mend="chown it to you, or choose another: --home"
        )
    if home.folder.stat().st_mode & 0o077:
        return Finding("home", f"{home.folder} is open to others", mend=f"chmod 700 {home.folder}")
    return Finding("home", str(home.folder))


def _keys(home: Home) -> Finding:
    names = [name for name in ("owner", "wallet") if (home.folder / "keys" / f"{name}.json").exists()]
    try:
        keys = home.keys
        for name in names:
            keys.load(name)
    except (KeystoreError, OSError) as error:
        return Finding(
            "keys", str(error), mend="set HIRELING_PASSPHRASE, or put the passphrase file back from a backup"
        )
    return Finding("keys", f"{', '.join(names)} open" if names else "none yet; they are made on first use")


def _clock() -> Finding:
    if SystemClock().quality() is ClockQuality.UNSYNCHRONISED:
        # Not an illness: durations come from the monotonic clock, and deadlines from the chain.
        return Finding("clock", "not synchronised to a time server; readings say so")
    return Finding("clock", "synchronised")


async def _chain(facts: PlatformView) -> Finding:
    mend = "start the chain, or check the marketplace's HIRELING_RPC_URL; --rpc-url takes your own node"
    rpc = JsonRpc(facts.rpc_url)
    try:
        chain_id = await rpc.chain_id()
        if chain_id != facts.chain_id:
            return Finding("chain", f"{facts.rpc_url} is chain {chain_id}, not {facts.chain_id}", mend=mend)
        height = await rpc.height()
        await EscrowReader(rpc, confirmations=1).slot(facts.escrow, bytes(32))
        behind = SystemClock().now().timestamp() - await rpc.block_time(height)
    except (ChainUnreachable, NotFunded) as error:
        return Finding("chain", str(error), mend=mend, is_remote=True)
    finally:
        await rpc.close()
    if abs(behind) > LARGEST_CLOCK_ERROR_SECONDS:
        return Finding(
            "chain",
            f"its newest block is {behind:.0f} s away from this clock",
            mend="set this computer's clock, or wait for the node to catch up",
        )
    return Finding("chain", f"{facts.rpc_url} is at block {height}, and the escrow answers")


async def _broker(facts: PlatformView) -> Finding:
    broker = _place(facts)
    refused = await _try_line(broker, None)
    if refused is None:
        return Finding("broker", f"{broker.address} answers, and lets in anybody",
            mend="have its operator set `allow_anonymous false`", is_remote=True)  # fmt: skip
    if refused == STRANGERS_STAY_OUT:
        return Finding("broker", f"{broker.address} answers, and lets no stranger in")
    return Finding(
        "broker", f"{broker.address} does not answer{f': {refused}' if refused else ''}",
        mend="start the broker, or check HIRELING_MQTT_URL and your firewall", is_remote=True,
    )  # fmt: skip


async def _device(home: Home, folder: Path, facts: PlatformView, gateway: str) -> Finding:
    """Look whether the broker takes a machine by its key.

    Not one that runs: a new name would end the line that it has.
    """
    what = f"device {folder.name}"
    try:
        meter = home.keystore(folder / "keys").load("meter")
        with only_one(folder):
            return await _enter(what, meter, facts, gateway)
    except (KeystoreError, OSError) as error:
        return Finding(what, str(error), mend="set HIRELING_PASSPHRASE, or put the key back from a backup")
    except BadInput:
        return Finding(what, "runs, and has a line of its own to the broker")


async def _enter(what: str, meter: Signer, facts: PlatformView, gateway: str) -> Finding:
    platform = PlatformClient(gateway)
    entry = BrokerPass(
        platform,
        domain=Domain(chain_id=facts.chain_id, escrow=facts.escrow),
        key=meter,
        device=device_id(meter.identity),
        clock=SystemClock(),
    )
    try:
        await entry.credentials()
        refused = await _try_line(_place(facts), entry)
    except NotLetIn as error:
        code = getattr(error.__cause__, "code", "")
        return Finding(what, str(error), mend=_ACCESS_MENDS.get(code, _ACCESS_MEND), is_remote=True)
    finally:
        await platform.close()
    if refused is not None:
        return Finding(what, f"the broker does not take it: {refused or 'no answer'}", mend=_ACCESS_MEND,
            is_remote=True)  # fmt: skip
    return Finding(what, "the broker lets it in by its key")


def _place(facts: PlatformView) -> Broker:
    return Broker(host=facts.mqtt.host, port=facts.mqtt.port, tls=facts.mqtt.tls)


async def _try_line(broker: Broker, entry: Entry | None) -> str | None:
    """Return None once the line is up, else why it is not, as far as anybody said."""
    reasons: list[str] = []

    def note(event: str, **fields: object) -> None:
        if event == "broker_lost":
            reasons.append(str(fields["reason"]))

    line = MqttLine(broker, topics=[], announce=note, entry=entry)
    running = asyncio.create_task(line.run(Nobody()))
    try:
        async with asyncio.timeout(BROKER_WITHIN_SECONDS):
            while not line.is_up and STRANGERS_STAY_OUT not in reasons:  # noqa: ASYNC110 - it tells by calling `note`
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        return reasons[-1] if reasons else ""
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return None if line.connections else STRANGERS_STAY_OUT


class Nobody:
    """Hears nothing."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take no notice."""

    def on_line_up(self) -> None:
        """Take no notice."""
