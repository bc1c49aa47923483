"""How agents haggle: pure strategies, each decision with its reason.

``session`` is what a negotiator is shown and answers, ``round_aware`` our own strategy and the default,
``time_dependent`` and ``tit_for_tat`` the classic ones. ``wishes`` makes an owner's or a renter's settings a
utility over a listing's agenda, ``phrases`` reads them as people say them, ``talks`` is one side of a
session.
"""
