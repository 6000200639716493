"""Weight update: the parameters and the optimizer's state, from the gradient, in one pass.

Maths:    sgd       g += weight_decay p;  p -= lr g
          momentum  g += weight_decay p;  v = momentum v + g;  p -= lr v
          nesterov  g += weight_decay p;  v = momentum v + g;  p -= lr (g + momentum v)
          rmsprop   s = rho s + (1 - rho) g²;  p -= lr g / (√s + epsilon)
          adam      m = β1 m + (1 - β1) g;  s = β2 s + (1 - β2) g²;
                    p -= lr / (1 - β1ᵗ) m / (√s / √(1 - β2ᵗ) + epsilon),  t = step, from 1
          adamw     p -= lr weight_decay p, then adam
Shapes:   p, g and every slot (v, s, m) alike, of any shape: usually the whole network as one flat buffer.
Units:    none.
Traffic:  reads p, g and the slots, writes p and the slots: 7 numbers a parameter for adam, 3 for sgd.
Errors:   none; a NaN or Inf in the gradient goes through to the parameter.
Accuracy: one rounding an operation, in the dtype of p; the bias corrections are computed in float64.
Source:   B. Polyak, 1964; Y. Nesterov, 1983 and I. Sutskever et al., ICML 2013; T. Tieleman, G. Hinton, 2012;
          D. Kingma, J. Ba, ICLR 2015; I. Loshchilov, F. Hutter, ICLR 2019. Details as in PyTorch's torch.optim.
"""
