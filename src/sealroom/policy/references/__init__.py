"""Reference values that others sign: files that widen a policy for a time (``spec/reference-values.md``).

`read` reads a file; `load` reads ``[[reference_files]]`` of a policy and `keys` says which keys a file may fill in;
`accepting` judges files at a time and puts their values beside those that the policy names itself; `source` reads
what a publisher wrote by hand, and `signing` makes a file of it.
"""
