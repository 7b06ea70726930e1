"""Keys for evidence: the broker, which speaks KBS 0.4.0 and releases each key by its own policy, none by default.

    app           HTTP in and out (starlette); knows no rule
    service       the protocol's steps: auth, attest, release, and the operator's: register, delete, floor
    attestation   one guest's message, from bytes to verified evidence bound to a key
    rate          how many handshakes one address may begin
    tokens        the session token (ES256)
    registration  what the operator sends to register a key
    admin_client  the other end of that, for `sealroom seal --broker`
    stores/       SQLite: sessions, resources, floors, the record of every grant and refusal; the state directory
    keystores/    where key bytes lie, by URI scheme

Data flows one way: app → service → (attestation, `sealroom.verifier`) → stores. Normative: ``spec/key-release.md``.
"""
