"""What a database that is away raises; of no library, so that every command may know it."""


class DatabaseGone(Exception):
    """The database did not answer for longer than an outage may last; in one line, without a password."""


class LockLost(Exception):
    """The database gave the lock up while its holder was at work: what was to be written has not been."""
