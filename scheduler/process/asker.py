"""Who asks for something: the user of this process, or the wake that it runs in."""

import os


def asker() -> str:
    """`ct`, or `wake #812 of opus` where an agent asks."""
    wake, citizen = os.environ.get("EXPERIENCE_WAKE", ""), os.environ.get("CITIZEN", "")
    if wake.isdecimal():
        return f"wake #{wake} of {citizen}" if citizen else f"wake #{wake}"
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):  # Windows, or a container without a name for it
        return f"user {os.geteuid()}" if hasattr(os, "geteuid") else os.environ.get("USERNAME", "somebody")
