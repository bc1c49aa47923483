"""Settings of settlement: SETTLEMENT_*, HIRELING_RPC_URL and HIRELING_DEPLOYMENT.

The last two say where the chain and its contracts are.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings, home

DEV_CHAIN_ID = 31337
ADDRESS = r"^0x[0-9a-fA-F]{40}$"


class ChainSettings(ServiceSettings):
    """Which chain: a node's address, and the file that names the contracts.

    By default the development chain's, under HIRELING_HOME.
    """

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    rpc_url: str = "http://127.0.0.1:8545"
    deployment: Path = Field(default_factory=lambda: home() / "deployments" / f"{DEV_CHAIN_ID}.json")


class SettlementSettings(ServiceSettings):
    """The marketplace's terms, the chain's confirmations, how often to claim, and where keys are kept."""

    model_config = SettingsConfigDict(env_prefix="SETTLEMENT_")

    confirmations: int = Field(
        default=2, ge=1, le=1000, description="1 believes the newest block, k what lies under k - 1 more"
    )
    claim_every: int = Field(default=300, ge=1, description="seconds between the claims of a running rental")
    close_patience: int = Field(
        default=60, ge=0, description="seconds to wait for both signatures of a close before claiming"
    )
    claim_margin: int = Field(
        default=1800, ge=0, description="seconds before claims end in which every claim is due at once"
    )
    batch_size: int = Field(
        default=100, ge=1, le=256, description="claims that share a transaction; 1 sends each alone"
    )
    batch_age: int = Field(
        default=30, ge=0, description="seconds that a claim which is due waits for others to share with"
    )
    stuck_after: int = Field(
        default=30, ge=1, description="seconds after which a transaction that is not mined pays more"
    )
    chain_seconds: float = Field(default=5.0, gt=0, description="patience with the chain's node")
    call_seconds: float = Field(default=5.0, gt=0, description="patience with another service")
    relay_seconds: float = Field(
        default=10.0, gt=0, description="how long a faucet call waits for its transaction to be mined"
    )
    lease_seconds: int = Field(
        default=10, ge=1, description="how long a copy that died keeps the lane from the others"
    )
    fee_bps: int = Field(
        default=250, ge=0, le=1000, description="the marketplace's share, in ten-thousandths"
    )
    fee_to: str | None = Field(
        default=None, pattern=ADDRESS, description="who earns the fee; default: the relayer"
    )
    arbiter: str = Field(
        default=f"0x{'00' * 20}",
        pattern=ADDRESS,
        description="zero: silence decides, by the escrow's defaults",
    )
    faucet_amount: int = Field(
        default=1_000_000_000, ge=1, description="base units a development chain's faucet gives"
    )
    keys: Path = Field(
        default_factory=lambda: home() / "secrets" / "settlement", description="folder of the encrypted keys"
    )
    passphrase: SecretStr | None = Field(
        default=None, description="opens the keys; default: a random one beside them"
    )
