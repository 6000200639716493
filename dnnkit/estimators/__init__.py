"""scikit-learn estimators, imported on first use because importing scikit-learn is slow."""
