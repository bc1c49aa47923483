"""Who sits on the other side: NegMAS's negotiators, and two of GENIUS in NegMAS's Python ports.

The GENIUS agents themselves are Java programs, which NegMAS only drives where they are installed; here play
its ports of HardHeaded (first of ANAC 2011) and Nozomi (a finalist of ANAC 2010), made of GENIUS's own
bidding, acceptance and opponent-model components.
"""

from negmas.genius.gboa_negotiators import GHardHeaded, GNozomi
from negmas.sao import (
    BoulwareTBNegotiator,
    ConcederTBNegotiator,
    HybridNegotiator,
    LinearTBNegotiator,
    MiCRONegotiator,
    NaiveTitForTatNegotiator,
    SAONegotiator,
)

PANEL: tuple[type[SAONegotiator], ...] = (
    BoulwareTBNegotiator,
    ConcederTBNegotiator,
    LinearTBNegotiator,
    NaiveTitForTatNegotiator,
    MiCRONegotiator,
    HybridNegotiator,
    GHardHeaded,
    GNozomi,
)
BASELINE = BoulwareTBNegotiator
