"""Usage into money: the rentals' state machine, the one door to the chain, and bills.

Owns: every rental's state, what it costs, what was claimed and paid, its chain transactions, its bill; the
devices' registrations.
Hears: listing.DeviceAdmitted, negotiation.Agreed, metering.UsageAccepted, metering.CeilingAccepted,
metering.Flagged, metering.FlagCleared, metering.DayClosed.
Says: settlement.DeviceRegistered, settlement.MeterChanged, settlement.RentalChanged, settlement.Claimed,
settlement.BillIssued, settlement.RootAnnounced.
Promises: it prices every reading itself and pays nothing beyond the tariff; one intent is one transaction,
whatever crashes, in the relayer's one lane of nonces; what the chain says, k blocks deep, is the only truth
about money; no state lacks a way out.
"""
