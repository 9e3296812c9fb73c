"""What is checked of a search before anything is started: what is asked for, this host, and the export's place."""

from contextlib import suppress
from pathlib import Path

from search.config.settings import RunOptions
from search.data.threads import cores
from search.engines.ordering import asks_for_engine, check_engine
from search.engines.resources import ResourceSlot, make_slots
from search.errors import InputError
from search.exporting.folder import check_target, default_folder
from search.process.choice import check_backend
from search.study.compatibility import check_kind
from search.study.finding import find_study
from search.study.request import check_request


def check_here(options: RunOptions) -> tuple[str, list[ResourceSlot], Path]:
    """Check what is asked of a search as far as that needs neither images nor a framework.

    Returns:
        The backend; the places of this host that workers take, none where an engine starts them; and the export's
        folder, which is looked at where there is to be an export.

    Raises:
        InputError: It cannot be, or not on this host.
    """
    check_request(options)
    backend = check_backend(options.backend)
    slots: list[ResourceSlot] = []
    if asks_for_engine(options):
        check_engine(options)
    else:
        slots = make_slots(options.workers, options.gpus, options.per_gpu, cores())
    target = options.out or default_folder(options.study)
    try:
        return backend, slots, check_target(target) if options.export else target
    except InputError:  # Another place would be no mend where the study is a sweep, whose report lies there.
        found = None
        with suppress(Exception):  # Where the database cannot be read, the refusal is said.
            found = find_study(options.study, options.storage, options.root)
        if found is not None:
            check_kind(found, sweep=False)
        raise
