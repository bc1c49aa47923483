"""Signed readings in, verified usage out: counts, never prices.

Owns: every rental's accepted readings and ceilings, what was refused and why, the messages still to be
carried to devices, what looks wrong, the closed days with their Merkle roots, and who may enter the broker.
Hears: negotiation.QuoteRequested, negotiation.OfferMade, negotiation.AgreementSigned, negotiation.Agreed,
settlement.RentalChanged, settlement.MeterChanged, settlement.BillIssued, settlement.RootAnnounced.
Says: metering.UsageAccepted, metering.CeilingAccepted, metering.Flagged, metering.FlagCleared,
metering.DayClosed.
Promises: nothing unsigned is believed; what was acknowledged to a device is durable, without a gap and told
on exactly once for each number; whatever is refused is kept with its reason.

Three processes share one database: ``python -m services.metering`` answers calls and hears events, ``python
-m services.metering.ingest`` (asyncio, any number of copies) speaks MQTT, ``python -m
services.metering.keeper`` keeps Mosquitto's password file, beside it.
"""
