"""Who pays for a deployment: a key from an encrypted keystore file, or an account that a development node keeps unlocked.

A key is never an argument and never shown: the passphrase is typed, or read from a file.
"""

import getpass
from pathlib import Path
from typing import Any

from deployment.errors import Refused
from deployment.plan import DEV_CHAIN_ID


def unlocked_account(rpc_url: str, chain_id: int) -> Any:
    """Connect Brownie and return the node's first unlocked account."""
    if chain_id != DEV_CHAIN_ID:
        raise Refused(f"unlocked accounts pay on chain {DEV_CHAIN_ID} only: name a --keystore")
    accounts = _connected_accounts(rpc_url)
    if not accounts:
        raise Refused("the node has no unlocked account: name a --keystore")
    return accounts[0]


def keystore_account(rpc_url: str, keystore: Path, passphrase_file: Path | None) -> Any:
    """Connect Brownie and return the account of a keystore file (Web3 Secret Storage, version 3)."""
    if not keystore.is_file():
        raise Refused(f"no keystore file at {keystore}")
    passphrase = _passphrase(keystore, passphrase_file)
    accounts = _connected_accounts(rpc_url)
    try:
        return accounts.load(str(keystore), password=passphrase)
    except (ValueError, KeyError, TypeError):
        # The library's own message could quote what it was given.
        raise Refused(f"{keystore} does not open with this passphrase") from None


def _passphrase(keystore: Path, passphrase_file: Path | None) -> str:
    if passphrase_file is None:
        return getpass.getpass(f"Passphrase of {keystore.name}: ")
    if not passphrase_file.is_file():
        raise Refused(f"no passphrase file at {passphrase_file}")
    if passphrase_file.stat().st_mode & 0o077:
        raise Refused(f"others can read {passphrase_file}: chmod 600 it first")
    return passphrase_file.read_text().rstrip("\n")


def _connected_accounts(rpc_url: str) -> Any:
    # Imported late: it reads HOME when it loads, and takes two seconds that an up-to-date chain need not wait for.
    from brownie import accounts, network

    # Without launch_rpc Brownie leaves the chain's process alone, wherever that runs.
    network.connect("chain", launch_rpc=False)
    return accounts
