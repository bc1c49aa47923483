"""How a price is found: a renter's question, the agents' offers, and the one agreement both sides sign.

Owns: quote sessions with their offers, agreements, devices' calendars, what owners' mandates have promised,
which mandates were revoked, auctions with their bids and awards, and delegates: their keys, what owners
appointed them for, and why they did what they did.
Hears: moves over MQTT, listing.ListingPublished, settlement.RentalChanged, settlement.BillIssued.
Says: negotiation.QuoteRequested, negotiation.OfferMade, negotiation.AgreementSigned, negotiation.Agreed,
negotiation.AuctionOpened, negotiation.BidCame, negotiation.AuctionClosed, negotiation.AwardMade,
negotiation.AwardForfeited; over MQTT, what became of a move, and to both sides how their session stands.
Promises: no offer enters that its side did not sign over the one before, on this platform's terms; one
session makes at most one agreement, however often messages come; no second of a device's time is promised to
two rentals; no owner's agent signs beyond its mandate, however many of its rentals are signed at once; an
auction closes once, and what follows is what its signed bids say.
"""
