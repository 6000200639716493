"""Words of an offer (`offer.py`) that are written without compiled code."""

OFFER_WORDS = 40
"""64-bit words of an offer: five cache lines."""

AREA, AREA_BYTES = 1, 2
"""Indices of the address and size of memory for packed columns of b. They are beside the state of the offer, whose line
other threads read, because they are written once.
"""
