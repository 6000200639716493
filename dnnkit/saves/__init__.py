"""Networks on disk: save folders that are whole at every moment, without pickle; and what pickle and copy take."""
