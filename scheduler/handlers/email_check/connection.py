"""A TLS connection to a mail server that checks its certificate, limits its answers and can be cut."""

import imaplib
import re
import socket
import ssl
from base64 import b64encode
from contextlib import suppress

from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, UnexpectedCommandStatusError

from scheduler.handlers.email_check.options import Options

TIMEOUT = 15.0  # seconds that a server may be silent
MOST = 10 << 20  # bytes of the answer to one command


class NotTrusted(Exception):
    """The authorities in the settings cannot be used; the text says why."""


class Refused(Exception):
    """The server refuses the login; the text is the server's own."""


# Everything that can go wrong with a mail server, or on the way to it.
FAILURES = (OSError, imaplib.IMAP4.error, ImapToolsError, NotTrusted, Refused, UnicodeError)


def hide_login(text: str, options: Options) -> str:
    """The text without the password, however often it was quoted on its way."""
    token = b64encode(f"\0{options.user}\0{options.password}".encode()).decode()
    for secret in (re.escape(token), "".join(map(_quoted, options.password))):
        text = re.sub(secret, "***", text) if secret else text
    return text


def _quoted(char: str) -> str:
    """A pattern for the character as it was sent, or as IMAP or Python quotes it."""
    if char == "\\":
        return r"\\+"
    escapes = (repr(char.encode(charset, "replace"))[2:-1].strip("\\") for charset in ("utf-8", "latin-1"))
    bytewise = "|".join(re.escape(each).replace(r"\\", r"\\+") for each in escapes)
    return rf"\\*(?:{re.escape(char)}|{bytewise}" + ("" if char.isascii() else "|\ufffd+") + ")"


class CuttableSocket:
    """The open socket, which another thread can shut down so that a cancelled run waits for no server."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._over = False

    def hold(self, connection: socket.socket) -> None:
        self._socket = connection
        if self._over:
            self.cut()

    def cut(self) -> None:
        """Make every wait for the server fail now; may be called from any thread."""
        self._over = True
        if self._socket is not None:
            with suppress(OSError):
                # Not SSLSocket's own shutdown, which drops the TLS state that the reading thread uses.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Client(imaplib.IMAP4_SSL):
    """An IMAP connection on a Line; `refill` before each command whose answer may be long."""

    def __init__(self, options: Options, line: CuttableSocket) -> None:
        self._line, self._left = line, MOST
        trust = _trust(str(options.ca_file or ""))
        super().__init__(options.host, options.port, ssl_context=trust, timeout=TIMEOUT)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout)
        secure: ssl.SSLSocket = self.ssl_context.wrap_socket(
            plain, server_hostname=self.host, do_handshake_on_connect=False
        )
        self._line.hold(secure)
        try:
            secure.do_handshake()
        except OSError:
            secure.close()
            raise
        return secure

    def refill(self) -> None:
        self._left = MOST

    def read(self, size: int) -> bytes:
        self._spend(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._spend(len(line))
        return line

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.abort(f"its answer is longer than {MOST >> 20} MiB")


def _trust(ca_file: str) -> ssl.SSLContext:
    """The context with the certificates of the system's authorities, or only those of `ca_file`."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        why = "no certificates in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise NotTrusted(f"ca_file {ca_file}: {why}") from error


# ------------------------------------------------------------------ failures in one line

_UNKNOWN = "comes from an authority that is not known here; name that authority's file as ca_file"
# OpenSSL's codes for a rejected certificate.
_CERTIFICATE = {
    9: "is not valid yet; compare this machine's clock with its date",
    10: "has expired; its server needs a new one",
    18: "is signed by itself alone; if it is the right one, name its file as ca_file",
    **dict.fromkeys((19, 20, 21), _UNKNOWN),
    23: "has been revoked; its server needs a new one",
    62: "is for another host; write host as the certificate has it",
    64: "is for another address; write host as the certificate has it",
}
_NO_TLS = re.compile("WRONG_VERSION|HTTP_REQUEST|PACKET_LENGTH|UNKNOWN_PROTOCOL|RECORD_LAYER")
_NO_IMAP = "speaks no IMAP; check host and port"
_CUT = "cut the connection; the next run tries again"


def why(error: Exception, options: Options) -> str:
    """The sentence for one of FAILURES, with the fix; the server's words in it may quote the login."""
    server = f"{options.host}:{options.port}"
    match error:
        case NotTrusted():
            return str(error)
        case ssl.SSLCertVerificationError():
            return f"the certificate of {server} {_CERTIFICATE.get(error.verify_code, error.verify_message)}"
        case socket.gaierror(errno=socket.EAI_AGAIN):
            reason = f"cannot be looked up now: {error.strerror}; check host and the network"
            return f"the host {options.host} {reason}"
        case socket.gaierror():
            return f"there is no host {options.host}; check host"
        case OSError():
            return f"{server} {_no_connection(error)}"
    return f"{server} {_no_answer(error)}"


def _no_connection(error: OSError) -> str:
    match error:
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionResetError() | BrokenPipeError():
            return _CUT
        case ssl.SSLError() if _NO_TLS.match(error.reason or ""):
            return "speaks no TLS; set port to its port for TLS, mostly 993"
        case ssl.SSLError():
            return f"fails to speak TLS: {error.reason or error}"
        case TimeoutError():
            return f"does not answer: silent for {TIMEOUT:g}s"
        case ConnectionRefusedError():
            return "refuses connections; check host and port"
    return f"cannot be reached: {error.strerror or error}"


def _no_answer(error: Exception) -> str:
    """The sentence for an error of IMAP; imaplib tells its errors apart by text, not by type."""
    text = server_text(error)
    match error:
        case Refused():
            return f"refuses the login; check user and password: {text}"
        case MailboxFolderSelectError():
            return f"does not open the folder; check folder: {text}"
        case imaplib.IMAP4.abort() if "socket error" in text:  # between two lines, or within one
            return _CUT
    if isinstance(error, UnicodeError) or "unexpected response" in text or "CAPABILITY" in text:
        return _NO_IMAP
    return f"does not do what was asked: {text.rpartition('=> ')[2]}"


def server_text(error: Exception) -> str:
    """The server's own words in this error."""
    text: object = error.args[0] if error.args else ""
    if isinstance(error, UnexpectedCommandStatusError):
        text = (error.command_result[1] or [b""])[-1]
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
