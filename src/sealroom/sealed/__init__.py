"""Model weights at rest: ``spec/sealed-model.md`` in code. Knows no attestation.

    Manifest ── what is signed: files, sizes, digests, key commitment, digest of the tag table
    PublisherKey ── signs it; readers pin the digest of its public half
    ModelKey ─PackageKeys→ one AES-256-GCM key a file ─ChunkSealer / ChunkOpener→ one chunk
    Recipient ─→ Wrap ── ways to the model key, outside the signed part

``format`` has the numbers, ``strict_json`` and ``paths`` the strictness. All of these are pure; files and threads are
in `sealroom.sealed.stores`.
"""

from sealroom.sealed.format import DEFAULT_CHUNK_SIZE, digest_text
from sealroom.sealed.keys import ModelKey
from sealroom.sealed.manifest import FileEntry, Manifest
from sealroom.sealed.publisher import PublisherKey
from sealroom.sealed.wraps import HeldByBroker, SealedToKey

__all__ = [
    "DEFAULT_CHUNK_SIZE",
    "FileEntry",
    "HeldByBroker",
    "Manifest",
    "ModelKey",
    "PublisherKey",
    "SealedToKey",
    "digest_text",
]
