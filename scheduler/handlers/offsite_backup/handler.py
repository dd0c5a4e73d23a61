"""offsite_backup: a verified copy of the home somewhere else, in a restic repository or as a .tar.gz."""

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.offsite_backup.options import Options


async def offsite_backup(ctx: Context) -> str | Report:
    """What was backed up and verified; a warning names the files that are missing from it."""
    options = ctx.options or Options()
    if options.repository:
        from scheduler.handlers.offsite_backup.restic_backup import back_up
    elif options.directory:
        from scheduler.handlers.offsite_backup.archive import back_up
    else:
        raise TaskFailed("there is no place for the backup; set repository or directory")
    if not ctx.home.is_dir():
        raise TaskFailed(f"there is no folder {ctx.home} to back up")
    return await back_up(ctx, options)
