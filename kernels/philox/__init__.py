"""Philox4x32-10: counter-based random bits, a pure function of a counter and a key.

Maths:    ten rounds of (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)), the key
          bumped by the Weyl constants between rounds; word e of a stream is lane e mod 4 of block e div 4.
          counter = (block, layer, low half of step, high half of step), key = (seed, purpose)
Shapes:   `count` words, uint32.
Units:    bits.
Traffic:  writes 4 bytes per word, reads nothing.
Errors:   none; all arguments must fit their 32 bits (step: 64).
Accuracy: bit for bit the published function, on every backend.
Source:   J. Salmon, M. Moraes, R. Dror, D. Shaw, SC11, doi:10.1145/2063384.2063405; checked against its known answers.
"""
