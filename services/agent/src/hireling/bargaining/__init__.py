"""How agents haggle: pure strategies, each decision with its reason.

``session`` is what a negotiator is shown and answers, ``round_aware`` our own strategy and the default,
``time_dependent`` and ``tit_for_tat`` the classic ones, ``concession`` the rule of sessions about the price
alone.
"""
