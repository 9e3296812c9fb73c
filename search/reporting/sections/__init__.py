"""The sections of a report, one a file; each makes elements of the facts of a study."""
