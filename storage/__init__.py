"""The database that all processes of a study share, and the files beside it.

``connect.open_storage`` opens a ``database.Database``, which is one of Optuna's storages. ``claims.Claims`` decides
which worker may run which trial, ``queries`` reads much at once, and ``paths.StudyPaths`` says where files lie. Nothing
here knows a command: an error about a parameter begins with the parameter's name (``storage sqlite:///x: ...``).
"""
