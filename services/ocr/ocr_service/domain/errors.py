"""Why a document can never be read, one class per reason. Says nothing about retries or transport.

UnreadableDocument
├── EmptyDocument      nothing was sent
├── UnsupportedType    not a type that is read here
├── EncryptedDocument  it wants a password
├── DamagedDocument    cut off, or not what it says
└── DocumentTooLarge   more pages, pixels or text than are read here
"""


class UnreadableDocument(ValueError):
    """Root: the same bytes will be refused every time; the message is one sentence for the person who sent them."""


class EmptyDocument(UnreadableDocument):
    """The file has no bytes."""


class UnsupportedType(UnreadableDocument):
    """The bytes are of no type that is read here, whatever the file was called."""


class EncryptedDocument(UnreadableDocument):
    """The document wants a password."""


class DamagedDocument(UnreadableDocument):
    """The document is cut off or damaged."""


class DocumentTooLarge(UnreadableDocument):
    """The document has more pages, pixels or text than are read here."""
