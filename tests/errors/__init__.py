"""docs/errors.md: what every public function and command says of what cannot work. Each row is run.

    python -m tests.errors     writes the table anew

A row is a line of Python, or of a shell if it begins with `dnnkit`; the table shows what it says, in the words that it
says here. `PREPARED` comes before every row. Rows whose words depend on the machine do not belong here.
"""
