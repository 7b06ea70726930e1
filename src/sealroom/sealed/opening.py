"""From ciphertext to plaintext, one chunk at a time, or not at all (section 6). Knows buffers, not files."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealroom.errors import UnverifiedError
from sealroom.sealed.format import ChunkPlace
from sealroom.sealed.keys import PackageKeys
from sealroom.sealed.sealing import associated_data, nonce

__all__ = ["ChunkOpener"]


class ChunkOpener:
    """Opens the chunks of one file, in any order."""

    def __init__(self, keys: PackageKeys, file_index: int) -> None:
        self._cipher = AESGCM(keys.file_key(file_index))
        self._identity = keys.identity.digest
        self._path = keys.identity.files[file_index][0]

    def open_into(self, place: ChunkPlace, sealed: memoryview, plaintext: memoryview) -> None:
        """Write the plaintext of one chunk.

        Args:
            place: which chunk.
            sealed: its ciphertext and then its tag, in memory that nobody else can change meanwhile.
            plaintext: as long as the ciphertext; its content is void if this raises.

        Raises:
            UnverifiedError: ``sealed.chunk-not-authentic``.
        """
        try:
            self._cipher.decrypt_into(nonce(place), sealed, associated_data(self._identity, place), plaintext)
        except InvalidTag:
            raise UnverifiedError(
                "sealed.chunk-not-authentic",
                "a chunk of the sealed model was changed, moved or taken from another package",
                where=place.describe(self._path),
                hint="fetch the package again from its publisher",
            ) from None
