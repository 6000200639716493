"""Optimizer step: update the parameters and the optimizer state from the gradient, in one pass.

Maths:    sgd       g += weight_decay p;  p -= lr g
          momentum  g += weight_decay p;  v = momentum v + g;  p -= lr v
          nesterov  g += weight_decay p;  v = momentum v + g;  p -= lr (g + momentum v)
          rmsprop   s = rho s + (1 - rho) g²;  p -= lr g / (√s + epsilon)
          adam      m = β1 m + (1 - β1) g;  s = β2 s + (1 - β2) g²;
                    p -= lr / (1 - β1ᵗ) m / (√s / √(1 - β2ᵗ) + epsilon),  t = step, from 1
          adamw     p -= lr weight_decay p, then adam
          amsgrad   as adamw, but with the largest s so far in place of s
          adagrad   p -= lr weight_decay p;  s += g²;  p -= lr g / (√(s + initial) + epsilon)
          adamax    p -= lr weight_decay p;  m as in adam;  u = max(β2 u, |g| + epsilon);
                    p -= lr / (1 - β1ᵗ) m / u
          nadam     p -= lr weight_decay p;  m, s as in adam;  r = √s / √(1 - β2ᵗ) + epsilon;
                    p -= lr ((1 - μ) / (1 - M) g + μ' / (1 - M μ') m) / r,
                    with the momenta μ of this step and μ' of the next, and M the product of all μ so far
          lion      p -= lr weight_decay p;  p -= lr sign(β1 m + (1 - β1) g);  m = β2 m + (1 - β2) g
          average   a = p in the first step, then a = momentum a + (1 - momentum) p;  p is left to another rule
Shapes:   p, g and every slot (v, s, m, u, a) have one shape, usually the whole network as one flat buffer.
Units:    none.
Traffic:  reads p, g and the slots, writes p and the slots: 7 numbers per parameter for adam, 3 for sgd.
Errors:   none; a NaN or Inf in the gradient propagates to the parameter.
Accuracy: one rounding per operation, in the dtype of p; the bias corrections are computed in float64.
Source:   B. Polyak, 1964; Y. Nesterov, 1983 and I. Sutskever et al., ICML 2013; T. Tieleman, G. Hinton, 2012;
          D. Kingma, J. Ba, ICLR 2015 (adam, adamax); I. Loshchilov, F. Hutter, ICLR 2019; S. Reddi et al., ICLR 2018
          (amsgrad); J. Duchi et al., JMLR 2011; T. Dozat, ICLR 2016 (nadam); X. Chen et al., NeurIPS 2023 (lion);
          B. Polyak, A. Juditsky, 1992 (average). Details as in PyTorch's torch.optim, except decay: from adamw on it
          is decoupled in every rule, as in Keras; lion, average and adagrad's initial value are Keras's.
"""
