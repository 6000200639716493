"""What every backend inherits: a program run one operation after another, stage by stage."""
