"""Estimators as scikit-learn has them; imported when they are first asked for, for scikit-learn is not small."""
