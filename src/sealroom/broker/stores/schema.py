"""The tables, as steps from one ``user_version`` to the next. A step that was released is never edited."""

__all__ = ["MIGRATIONS"]

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    tee TEXT NOT NULL,
    nonce TEXT NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL,  -- seconds since 1970
    state TEXT NOT NULL CHECK (state IN ('challenged', 'burnt', 'attested')),
    token_id TEXT UNIQUE,
    attestation BLOB,
    CHECK ((state = 'attested') = (token_id IS NOT NULL AND attestation IS NOT NULL))
) STRICT;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TRIGGER sessions_go_forward BEFORE UPDATE ON sessions
WHEN NOT (OLD.state = 'challenged' AND NEW.state = 'burnt' OR OLD.state = 'burnt' AND NEW.state = 'attested')
BEGIN SELECT RAISE(ABORT, 'a session goes from challenged to burnt to attested'); END;

CREATE TABLE models (name TEXT PRIMARY KEY, minimum_version INTEGER NOT NULL, seal BLOB NOT NULL) STRICT;
CREATE TRIGGER floors_never_fall BEFORE UPDATE ON models
WHEN NEW.minimum_version < OLD.minimum_version OR NEW.name != OLD.name
BEGIN SELECT RAISE(ABORT, 'a floor never falls'); END;
CREATE TRIGGER floors_stay BEFORE DELETE ON models BEGIN SELECT RAISE(ABORT, 'a floor never falls'); END;

CREATE TABLE wrapped_keys (id TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT;

CREATE TABLE resources (
    id TEXT PRIMARY KEY,
    key_uri TEXT NOT NULL,
    model TEXT REFERENCES models (name),
    version INTEGER,
    policy TEXT,
    CHECK ((model IS NULL) = (version IS NULL))
) STRICT;

CREATE TABLE audit (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, digest BLOB NOT NULL) STRICT;
CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;
CREATE TRIGGER audit_is_not_cut BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, digest BLOB NOT NULL, seal BLOB NOT NULL
) STRICT;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
