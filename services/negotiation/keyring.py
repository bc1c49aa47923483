"""The delegates' keys: random, encrypted in the database, opened in memory alone.

The format is settlement's key files', the passphrase one for all copies of the service.
"""

from functools import cached_property

from hireling.keystore import KeystoreError, passphrase_in, seal, unseal
from hireling.rental.signing import Secp256k1Key
from hireling.rental.typed_data import from_hex, to_hex
from services.messages.errors import OperatorError
from services.negotiation.settings import KeySettings

MOST_OPEN = 1_024


class Keyring:
    """Makes and opens keys; an opened one is remembered: opening takes hundredths of a second."""

    def __init__(self) -> None:
        self._open: dict[str, Secp256k1Key] = {}

    def __repr__(self) -> str:
        return f"Keyring({len(self._open)} open)"

    def make(self) -> tuple[str, str]:
        """Return a new key's address and the key, encrypted."""
        key = Secp256k1Key.generate()
        return to_hex(key.identity), seal(key, self._passphrase).decode()

    def key(self, delegate: str, sealed: str) -> Secp256k1Key:
        """Return a delegate's key. Raises OperatorError where the passphrase does not open it."""
        if delegate not in self._open:
            if len(self._open) >= MOST_OPEN:
                self._open.clear()
            self._open[delegate] = self._opened(delegate, sealed)
        return self._open[delegate]

    def keep_only(self, delegates: frozenset[str]) -> None:
        """Forget the keys of all others: their appointments have ended."""
        for gone in self._open.keys() - delegates:
            del self._open[gone]

    def _opened(self, delegate: str, sealed: str) -> Secp256k1Key:
        try:
            key = unseal(sealed.encode(), passphrase=self._passphrase, name=f"delegate {delegate}")
        except KeystoreError as error:
            raise OperatorError("delegate_key_sealed", str(error)) from error
        if not isinstance(key, Secp256k1Key) or key.identity != from_hex(delegate):
            raise OperatorError("delegate_key_wrong", f"what is kept as {delegate} is another key")
        return key

    @cached_property
    def _passphrase(self) -> str:
        settings = KeySettings()
        if settings.passphrase is not None:
            return settings.passphrase.get_secret_value()
        return passphrase_in(settings.keys)
