"""What a database that is away raises. Nothing is imported here, so that every command can know these classes."""


class DatabaseGone(Exception):
    """The database did not answer for longer than an outage may last; the message is one line without a password."""


class DatabaseRemoved(DatabaseGone):
    """The file of an SQLite database was removed, or another put in its place, while this process had it open."""


class LockLost(Exception):
    """The database gave a lock to another process while its holder was at work: what was to be written is not."""
