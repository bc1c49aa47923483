"""Settlement's own keys, random, encrypted on disk.

The relayers', which only pay gas, one after the other, and the one that signs bills.
"""

from hireling.keystore import Keystore, passphrase_in
from hireling.rental.signing import Secp256k1Key
from services.settlement.settings import SettlementSettings


class Keys:
    """The keys in their folder, those of relayers made when they are first asked for.

    Raises KeystoreError when the passphrase does not open one.
    """

    def __init__(self, settings: SettlementSettings) -> None:
        given = settings.passphrase
        passphrase = passphrase_in(settings.keys) if given is None else given.get_secret_value()
        self._keystore = Keystore(settings.keys, passphrase=passphrase)
        self.bills = self._keystore.secp256k1("bills")
        """The key that signs bills."""

    def relayer(self, number: int) -> Secp256k1Key:
        """Return the first relayer's key, number 0, or that of one that followed."""
        return self._keystore.secp256k1(f"relayer-{number}" if number else "relayer")
