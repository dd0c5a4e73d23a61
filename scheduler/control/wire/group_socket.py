"""The second socket of a citizen, for the members of its `socket_group`."""

import errno

from scheduler.config.settings import CitizenSettings
from scheduler.control.wire.server import Server
from scheduler.system.unix_socket import first_closed_folder, shared_path


async def share(server: Server, settings: CitizenSettings) -> tuple[str, ...]:
    """Let the members of `socket_group` connect; return a line with the reason if they cannot."""
    group, path = settings.socket_group, shared_path(settings.home)
    try:
        await server.share(path, group.number if group else None)
        if group is None:
            return ()
        shut = first_closed_folder(group.number, settings.home)
    except OSError as error:
        outsider = error.errno == errno.EPERM  # chown by a user outside the group
        why = f"this user is not a member of {group}: usermod -aG {group} USER" if outsider else str(error)
        return (f"socket_group: members of {group} cannot attach: {why}",)
    if shut is None:
        return ()
    fix = f"chgrp {group} {shut}; chmod g+x {shut}"
    return (f"socket_group: members of {group} cannot attach: {shut} is closed to them: {fix}",)
