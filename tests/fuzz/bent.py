"""Samples that something went wrong with: bytes cut, doubled, moved, flipped, and odd pieces put in."""

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

ODD = (
    b"\0",
    b"\r\n",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    "\u2028\u202e\u0131\u0663".encode(),
    b"\x1b[2J",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"0.1e-400",
    b"\\u0000",
    b"\\ud800",
    b"[" * 3000,
    b'{"a":' * 2000,
    b"%",
    b'"',
    b"'",
    b"\\",
    b"#",
    b"=",
    b"\n",
    b"\t",
    b"${X}",
    b"$${",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"a" * 5000,
)

Cut = tuple[str, int, int, int]


def bent(samples: Sequence[bytes], tokens: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A sample after up to eight accidents, now and then bytes that never were one."""
    pieces = st.sampled_from((*tokens, *ODD))
    accident = st.tuples(
        st.sampled_from(tuple(ACCIDENTS)), st.integers(0, 1 << 20), st.integers(0, 64), pieces
    )
    accidents = st.lists(accident, max_size=8)
    broken = st.builds(_happen, st.sampled_from(tuple(samples)), accidents)
    joined = st.lists(pieces, max_size=12).map(b"".join)
    return st.one_of(broken, broken, broken, joined, st.binary(max_size=200))


def _happen(sample: bytes, accidents: list[tuple[str, int, int, bytes]]) -> bytes:
    for kind, place, length, piece in accidents:
        at = place % (len(sample) + 1)
        sample = ACCIDENTS[kind](sample, at, length, piece)
    return sample


def _flip(sample: bytes, at: int, length: int, piece: bytes) -> bytes:
    return sample[:at] + bytes(each ^ (1 << length % 8) for each in sample[at : at + 1]) + sample[at + 1 :]


ACCIDENTS: dict[str, Callable[[bytes, int, int, bytes], bytes]] = {
    "put in": lambda sample, at, length, piece: sample[:at] + piece + sample[at:],
    "put over": lambda sample, at, length, piece: sample[:at] + piece + sample[at + len(piece) :],
    "cut out": lambda sample, at, length, piece: sample[:at] + sample[at + length :],
    "doubled": lambda sample, at, length, piece: sample[: at + length] + sample[at:],
    "cut off": lambda sample, at, length, piece: sample[:at],
    "turned": lambda sample, at, length, piece: sample[at:] + sample[:at],
    "flipped": _flip,
}
