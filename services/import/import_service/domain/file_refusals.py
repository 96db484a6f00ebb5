"""Why a file can never be imported, one class per reason. Says nothing about rows, retries or transport.

RefusedFile
├── EmptyFile           no bytes, or no row under the header
├── UnsupportedFile     not a type that is read here
├── EncryptedFile       it wants a password
├── DamagedFile         cut off, or not what it says
├── FileTooLarge        more rows, columns or unpacked bytes than are read here
└── RefusedHeader       columns that are missing, doubled, or not to be imported
"""


class RefusedFile(ValueError):
    """Root: the same bytes will be refused every time; the message is one sentence for the person who sent them."""


class EmptyFile(RefusedFile):
    """There is nothing to import."""


class UnsupportedFile(RefusedFile):
    """The bytes are of no type that is read here, whatever the file was called."""


class EncryptedFile(RefusedFile):
    """The workbook wants a password."""


class DamagedFile(RefusedFile):
    """The file is cut off or damaged."""


class FileTooLarge(RefusedFile):
    """The file has more rows, columns or unpacked bytes than are read here."""


class RefusedHeader(RefusedFile):
    """The first row does not name the columns as it must."""
