"""Settlement's own keys, random, encrypted on disk.

The relayer's, which only pays gas, and the one that signs bills.
"""

from dataclasses import dataclass

from hireling.keystore import Keystore, passphrase_in
from hireling.rental.signing import Secp256k1Key
from services.settlement.settings import SettlementSettings


@dataclass(frozen=True)
class Keys:
    """Both keys; their repr shows addresses only."""

    relayer: Secp256k1Key
    bills: Secp256k1Key


def open_keys(settings: SettlementSettings) -> Keys:
    """Return the keys, made now where there are none.

    Raises KeystoreError when the passphrase does not open them.
    """
    given = settings.passphrase
    passphrase = passphrase_in(settings.keys) if given is None else given.get_secret_value()
    keystore = Keystore(settings.keys, passphrase=passphrase)
    return Keys(relayer=keystore.secp256k1("relayer"), bills=keystore.secp256k1("bills"))
