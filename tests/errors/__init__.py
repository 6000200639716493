"""docs/errors.md: the error message of every public function and command. Each row is run.

    python -m tests.errors     regenerates the table

A row is a line of Python, or a command line if it begins with `dnnkit`. `PREPARED` runs before every row. Rows whose
message depends on the machine do not belong here.
"""
