"""The version of this program; the package's metadata is built from it."""

VERSION = "0.2.0"
