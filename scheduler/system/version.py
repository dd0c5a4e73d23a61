"""The version of this program, where the package's metadata take it from."""

VERSION = "0.2.0"
