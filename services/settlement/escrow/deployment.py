"""Which contracts, on which chain: read from the file that their deployment wrote."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hireling.rental.typed_data import Address, Domain


class Deployment(BaseModel):
    """The contracts on one chain, and the first block that knows them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    chain_id: int
    escrow: Address
    registry: Address
    token: Address
    anchor: Address
    block: int

    @property
    def domain(self) -> Domain:
        """Return the domain in which rentals are signed."""
        return Domain(chain_id=self.chain_id, escrow=self.escrow)


def read_deployment(path: Path) -> Deployment:
    """Return what the file names. Raises FileNotFoundError, ValueError."""
    return Deployment.model_validate(json.loads(path.read_text()))
