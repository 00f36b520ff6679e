"""Other engines under recipes: TRL for one GPU and its kernels, verl for many machines. Neither is ever needed.

What crosses the border is a sample: ids, which of them were sampled, their log-probabilities, and streams of weights
and advantages. Collecting stays with prowess; `docs/train-scale.md` says how to launch both.
"""
