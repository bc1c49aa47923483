"""Names at the stack's Mosquitto for a benchmark's devices, in the file that else the keeper writes."""

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from hireling.rental.broker_users import device_user
from services.metering.access import hash_of, new_password
from services.metering.password_file import tell_broker, write_passwords
from tests import stack


def let_in(devices: Iterable[str]) -> dict[str, str]:
    """Let these devices in, and else the stack's own account alone; return the broker's address for each.

    An address holds the device's name and password. Mosquitto knows them once it has read the file: within
    a second for 100,000, whose passwords take some seconds to make.
    """
    passwords = {device: new_password() for device in devices}
    folder, address = stack.mqtt_folder(), urlsplit(stack.mqtt_url())
    kept = ((device_user(device), hash_of(password)) for device, password in passwords.items())
    write_passwords(folder / "passwords", kept, head=(folder / "operators").read_text())
    if not tell_broker(folder / "mosquitto.pid"):
        raise RuntimeError("Mosquitto does not run")
    return {
        device: f"mqtt://{quote(device_user(device))}:{password}@{address.hostname}:{address.port}"
        for device, password in passwords.items()
    }
