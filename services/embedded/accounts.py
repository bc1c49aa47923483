"""The gateway's answers that the demo needs, as plain values."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from services.embedded.books import Account

WITHIN = 10.0  # seconds for one answer


class Accounts:
    """The accounts of a marketplace, read through its gateway."""

    def __init__(self, gateway_url: str) -> None:
        self._gateway_url = gateway_url
        self.platform = self._get("/v1/platform")

    def read(self, addresses: Mapping[str, str]) -> dict[str, Account]:
        """Return what each named address has now."""
        wallets = {name: self._get(f"/v1/wallets/{address}") for name, address in addresses.items()}
        return {
            name: Account(balance=int(wallet["balance"]), credit=int(wallet["credit"]))
            for name, wallet in wallets.items()
        }

    def around(self, *, renter: str, owners: Mapping[str, str]) -> dict[str, str]:
        """Return by name the addresses between which rentals' money moves: no other has any of it."""
        return {
            "renter": renter,
            **owners,
            "platform": self.platform["fee_to"],
            "escrow": self.platform["escrow"],
        }

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._gateway_url}{path}", timeout=WITHIN) as response:  # noqa: S310 - http, loopback
            answer: dict[str, Any] = json.load(response)
        return answer
