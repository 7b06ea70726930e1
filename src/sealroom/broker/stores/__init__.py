"""What the broker keeps, in SQLite, and where it keeps its secrets.

    state_dir   the directory: KEK, admin token, token-signing key, database
    database    connection, transactions, migrations
    sessions    handshakes under way, and their single-use nonces
    resources   what is registered, by which policy, and the floors of models
    audit       the append-only, chained record

Several brokers may share one directory: every change is one transaction of the database.
"""
