"""offsite_backup: keeps verified copies of the home elsewhere, in a restic repository or as .tar.gz files."""

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.offsite_backup.options import Options


async def offsite_backup(ctx: Context) -> str | Report:
    """One line on what was backed up and verified; a warning names the files that are missing."""
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
