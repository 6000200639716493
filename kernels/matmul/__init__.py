"""Matrix product: out = a · b, for factors that lie in any order.

Maths:    out_ij = Σ_k a_ik b_kj
Shapes:   a (M, K), b (K, N), out (M, N), contiguous.
Units:    none.
Traffic:  reads a once for every two vectors of columns, b once for every eight rows, from caches where they fit; writes
          out once for every 256 of the depth.
Errors:   none; what is not a number goes through.
Accuracy: K fused multiplications and additions in the order of k, in the dtype of out; large products, those of the
          BLAS, in its own order.
Source:   K. Goto, R. van de Geijn, ACM Transactions on Mathematical Software 34 (2008), for the packed panel; F. Van
          Zee, R. van de Geijn, ibid. 41 (2015), for tiles held in registers.
"""
