"""Matrix product out = a · b, for operands of any memory layout; compiled code also adds a bias to each row.

Maths:    out_ij = Σ_k a_ik b_kj
Shapes:   a (M, K), b (K, N), out (M, N), contiguous.
Units:    none.
Traffic:  in panels, reads a once per two vectors of columns and b once per eight rows, from a cache if they fit; writes
          out once per 128 to 256 of the depth K. By rows, reads a once per 512 KiB of b, and writes out once per 128 to
          512 of the depth.
Errors:   none; NaN propagates.
Accuracy: K fused multiply-adds in the order of k, in the dtype of out; large products are computed by the BLAS, in its
          order.
          A product of few columns is computed transposed, with the same terms in the same order.
Source:   K. Goto, R. van de Geijn, ACM Transactions on Mathematical Software 34 (2008), for the packed panel; F. Van
          Zee, R. van de Geijn, ibid. 41 (2015), for tiles held in registers.
"""
