"""What the listing service shows of its devices. Each copy tells of the one database: take the maximum."""

from services.chassis.metrics import gauge

DEVICES = gauge("hireling_listing_devices", "Devices that were admitted.")
ONLINE = gauge("hireling_listing_online", "Devices whose own key said lately that they are alive.")
LISTED = gauge("hireling_listing_listed", "Devices with a listing that counts now.")
