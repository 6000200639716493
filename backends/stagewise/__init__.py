"""Default executable of every backend: a program run one operation after another, stage by stage."""
