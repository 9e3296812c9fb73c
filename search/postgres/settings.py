"""What the server is told: its settings, who may come in, and the certificate that it shows."""

import shutil

from search.errors import InputError
from search.postgres.address import Address
from search.postgres.folder import NAME, ServerFolder
from search.postgres.programs import last_line, run_program
from storage.process_identity import hostname

# Of 64 workers each may have five connections at once.
CONNECTIONS = 400
CERTIFICATE_DAYS = 3650
SETTINGS = """\
# Written by search.database at each start; what ALTER SYSTEM sets comes after it, and stays.
listen_addresses = '{listen}'
port = {port}
unix_socket_directories = '{folder}'
unix_socket_permissions = 0700
max_connections = {connections}
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_checkpoints = off
# Shared memory in files: systemd may remove a user's (RemoveIPC) when that user logs out, and a container has little.
dynamic_shared_memory_type = mmap
"""
ENCRYPTED = """\
ssl = on
ssl_cert_file = '{certificate}'
ssl_key_file = '{key}'
"""
# The account itself comes in by the socket without a password, as the superuser; everybody else is asked for one.
ACCESS = f"""\
local {NAME} {NAME} scram-sha-256
local all all peer
"""
ACCESS_FROM_AFAR = f"hostssl {NAME} {NAME} all scram-sha-256\n"


def write_settings(place: ServerFolder, address: Address) -> None:
    """Write Postgres's two files of settings for an address, and the certificate where one is needed.

    Raises:
        InputError: A certificate is needed, and cannot be made.
    """
    text = SETTINGS.format(
        listen=address.listen, port=address.port, folder=place.path, connections=CONNECTIONS
    )
    access = ACCESS
    if address.listen:
        if not (place.certificate.exists() and place.key.exists()):
            make_certificate(place)
        text += ENCRYPTED.format(certificate=place.certificate, key=place.key)
        access += ACCESS_FROM_AFAR
    place.write(place.data / "postgresql.conf", text)
    place.write(place.data / "pg_hba.conf", access)


def make_certificate(place: ServerFolder) -> None:
    """Make a certificate that is signed by its own key: whoever has a copy knows the server by it.

    Raises:
        InputError: There is no ``openssl``, or it fails.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise InputError(
            "--listen: what leaves this host is encrypted, and openssl, which makes the certificate, is not installed "
            "here; install it, or leave --listen out and use an SSH tunnel"
        )
    command = [
        openssl,
        "req",
        "-new",
        "-x509",
        "-newkey",
        "rsa:3072",
        "-nodes",
        "-days",
        str(CERTIFICATE_DAYS),
    ]
    names = ["-subj", "/CN=search.database", "-addext", f"subjectAltName=DNS:{hostname()}"]
    aside = [path.with_name(f"{path.name}.part") for path in (place.key, place.certificate)]
    made = run_program([*command, *names, "-keyout", str(aside[0]), "-out", str(aside[1])], place.path)
    if made.returncode:
        raise InputError(f"--listen: openssl cannot make a certificate ({last_line(made.stderr)})")
    aside[0].chmod(0o600)
    aside[0].rename(place.key)
    aside[1].rename(place.certificate)
