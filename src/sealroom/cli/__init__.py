"""The command line: one file per verb, each a thin face on a part that does the work.

Data goes to stdout, talk to stderr; ``--json`` where a verb has a result to print; colour never carries meaning
alone. Exit codes: 0 accepted or done, 1 refused by policy, 2 usage, 3 malformed, 4 unverified, 5 unavailable, 70 our
bug; 130, 141 and 143 for Ctrl-C, a reader that left, and SIGTERM.
"""
