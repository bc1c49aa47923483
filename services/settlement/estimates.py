"""What sending an intent would take, as the node says before anything is signed."""

from dataclasses import dataclass

from hireling.rental.typed_data import from_hex
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.node import Call, ChainUnreachable, NodeRefused, Reverted
from services.settlement.models import TransactionRow


@dataclass(frozen=True)
class Estimate:
    """What an intent's call would need: gas, or why it cannot be sent."""

    row: TransactionRow
    gas: int = 0
    failure: Reverted | NodeRefused | ChainUnreachable | None = None


def estimate_of(chain: Chain, row: TransactionRow) -> Estimate:
    """Return what the relayer's call would need now."""
    call = call_of(row)
    try:
        return Estimate(row, gas=chain.gas(call))
    except (Reverted, ChainUnreachable) as error:
        return Estimate(row, failure=error)
    except NodeRefused as error:
        return Estimate(row, failure=_reason(chain, call) or error)


def call_of(row: TransactionRow) -> Call:
    """Return the call that an intent is."""
    return Call(to=from_hex(row.to), data=from_hex(row.data))


def _reason(chain: Chain, call: Call) -> Reverted | ChainUnreachable | None:
    """Return the contract's reason, where a node says in its own words that it cannot estimate."""
    try:
        chain.simulate(call)
    except (Reverted, ChainUnreachable) as error:
        return error
    except NodeRefused:
        pass
    return None
