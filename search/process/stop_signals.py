"""The signals that ask a search to stop in good order; children and the server that forks them ignore all of them."""

import signal

# Of a terminal, of ``kill`` and schedulers, of a terminal that closes, of schedulers before the time is up.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
