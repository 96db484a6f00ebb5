"""Why a file can never be accepted, one class per reason. Says nothing about retries or transport.

RefusedFile
├── EmptyFile           nothing was sent
├── FileTooLarge        more bytes than the entity may have
├── UnsupportedType     not a type that the entity accepts
├── UnreadableImage     a picture that cannot be decoded, or is too large to be
└── UnreadableDocument  a document that is cut off or is not what it says
"""


class RefusedFile(ValueError):
    """Root: the same bytes will be refused every time; the message is one sentence for the person who sent them."""


class EmptyFile(RefusedFile):
    """The file has no bytes."""


class FileTooLarge(RefusedFile):
    """The file has more bytes than its entity may have."""


class UnsupportedType(RefusedFile):
    """The bytes are of no type that the entity accepts, whatever the file was called."""


class UnreadableImage(RefusedFile):
    """The picture is truncated, damaged, or has more pixels than are decoded here."""


class UnreadableDocument(RefusedFile):
    """The document is cut off."""
