"""Says in one line what is wrong between us and a mail server, and the mend."""

import imaplib
import socket
import ssl

from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, UnexpectedCommandStatusError


class NotTrusted(Exception):
    """The authorities that the settings name cannot be used; the text says why."""


class Refused(Exception):
    """The server does not let us in; the text is its own."""


# All that a mail server, or the way to it, can do to us.
FAILURES = (OSError, imaplib.IMAP4.error, ImapToolsError, NotTrusted, Refused, UnicodeError)

# OpenSSL's numbers for why a certificate is not believed.
_CERTIFICATE = {
    9: "is not valid yet; compare this machine's clock with its date",
    10: "has expired; its server needs a new one",
    18: "is signed by itself alone; if it is the right one, name its file as ca_file",
    19: "comes from an authority that is not known here; name that authority's file as ca_file",
    20: "comes from an authority that is not known here; name that authority's file as ca_file",
    21: "comes from an authority that is not known here; name that authority's file as ca_file",
    23: "has been revoked; its server needs a new one",
    62: "is for another host; write host as the certificate has it",
    64: "is for another address; write host as the certificate has it",
}
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
)


def why(error: Exception, host: str, port: int, waited: float) -> str:
    """The sentence for one of FAILURES; it may quote the server, which may quote us."""
    where = f"{host}:{port}"
    match error:
        case NotTrusted():
            return str(error)
        case Refused():
            return f"{where} refuses the login; check user and password: {words(error)}"
        case OSError():
            return _no_connection(error, host, where, waited)
        case MailboxFolderSelectError():
            return f"{where} does not open the folder; check folder: {words(error)}"
        case UnicodeError():
            return f"{where} speaks no IMAP; check host and port"
        case imaplib.IMAP4.abort() if "socket error" in words(error):  # at the end of a line, or within one
            return _cut(where)
    return _no_answer(words(error), where)


def _no_connection(error: Exception, host: str, where: str, waited: float) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate of {where} {_CERTIFICATE.get(error.verify_code, error.verify_message)}"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionResetError() | BrokenPipeError():
            return _cut(where)
        case ssl.SSLError() if error.reason in _NO_TLS:
            return f"{where} speaks no TLS; set port to its port for TLS, mostly 993"
        case ssl.SSLError():
            return f"TLS with {where} fails: {error.reason or error}"
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return f"the host {host} cannot be looked up now: {error.strerror}; check host and the network"
        case socket.gaierror():
            return f"there is no host {host}; check host"
        case TimeoutError():
            return f"{where} does not answer: silent for {waited:g}s"
        case ConnectionRefusedError():
            return f"{where} refuses connections; check host and port"
    return f"{where} cannot be reached: {getattr(error, 'strerror', None) or error}"


def _no_answer(said: str, where: str) -> str:
    """imaplib has texts where the others have types."""
    if "unexpected response" in said or "CAPABILITY" in said:
        return f"{where} speaks no IMAP; check host and port"
    return f"{where} does not do what was asked: {said.rpartition('=> ')[2]}"


def _cut(where: str) -> str:
    return f"{where} cut the connection; the next run tries again"


def words(error: Exception) -> str:
    """What the server said."""
    said: object = error.args[0] if error.args else ""
    if isinstance(error, UnexpectedCommandStatusError):
        said = (error.command_result[1] or [b""])[-1]
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
