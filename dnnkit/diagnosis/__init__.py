"""Diagnosis of training problems, with suggested fixes: warnings, `fit(diagnose=True)`, `net.trace`."""
