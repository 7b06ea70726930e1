"""Sealed models on disk and in memory: all the files and threads of `sealroom.sealed`.

    source files ─find_source→ Source ─seal_model→ package on disk ─open_package→ SealedPackage
    SealedPackage ─reserve→ ModelMemory, empty, before there is a key
    SealedPackage + ModelKey (+ ModelMemory) ─unseal→ UnsealedModel: one sealed memfd a file

``source`` finds what to seal, ``sealing`` writes a package, ``package`` reads one up to the point where only the key
is missing, ``unsealing`` decrypts with several threads, ``memory`` does so into memfds, ``export`` (ugly on purpose)
into a folder, ``rekeying`` replaces key wraps, ``keyfile`` keeps a key in a file.
"""

from sealroom.sealed.stores.export import check_every_chunk, insecure_unseal_to_folder
from sealroom.sealed.stores.keyfile import read_key_file, refuse_existing_key_file, write_key_file
from sealroom.sealed.stores.memory import SEALS, ModelMemory, UnsealedModel, reserve, unseal, verify_digests
from sealroom.sealed.stores.package import SealedPackage, open_package
from sealroom.sealed.stores.rekeying import rewrap
from sealroom.sealed.stores.sealing import SealedModelInfo, seal_model
from sealroom.sealed.stores.unsealing import Progress

__all__ = [
    "SEALS",
    "ModelMemory",
    "Progress",
    "SealedModelInfo",
    "SealedPackage",
    "UnsealedModel",
    "check_every_chunk",
    "insecure_unseal_to_folder",
    "open_package",
    "read_key_file",
    "refuse_existing_key_file",
    "reserve",
    "rewrap",
    "seal_model",
    "unseal",
    "verify_digests",
    "write_key_file",
]
