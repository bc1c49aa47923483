"""Devices and what they offer: identity, listings, signs of life, search.

Owns: devices (who owns each, which agent speaks for it, which meter it proved) and their signed listings.
Hears: settlement.DeviceRegistered, settlement.MeterChanged.
Says: listing.DeviceAdmitted, listing.ListingPublished.
Promises: no device without its meter's proof of possession and its owner's mandate; no listing that the
owner's agent did not sign within that mandate, or that is older than 24 h; a device is online only while its
own key said so in the last 30 s.
"""
