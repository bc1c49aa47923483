"""The rental protocol: what both sides sign, how it is priced, and how anyone checks it.

Pure: no I/O, no clock, no settings.

Signed objects: typed_data, signing, documents · terms, offer, agreement, listing, mandate · reading, ceiling,
close, bill. Rules: tariff, money, states, escrow_math, merkle. Errors: errors.
"""
