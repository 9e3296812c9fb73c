"""Names, images and amounts as Kubernetes takes them, checked before a cluster refuses them one after another."""

import re

from search.errors import InputError

# Of an object: letters, digits and "-" between dots (RFC 1123).
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# A registry's host, perhaps with a port; a path in lower case; a tag; a digest.
_HOST = r"[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?(:[0-9]+)?/"
_PATH = r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
_IMAGE = re.compile(rf"({_HOST})?{_PATH}(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?")
_CPU = re.compile(r"[0-9]+(\.[0-9]{1,3})?|[0-9]+m")
_MEMORY = re.compile(r"(?P<number>[0-9]+(\.[0-9]{1,3})?)(?P<unit>[MGT]i?)")


def check_object_name(flag: str, name: str) -> None:
    """Refuse what cannot be the name of an object of a cluster.

    Raises:
        InputError: It cannot.
    """
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise InputError(
            f"{flag} {name!r}: expected an object's name, of lower-case letters, digits, '-' and '.', such as my-study"
        )


def check_image(flag: str, image: str) -> None:
    """Refuse what cannot be the name of a container image.

    Raises:
        InputError: It cannot.
    """
    if not _IMAGE.fullmatch(image):
        raise InputError(
            f"{flag} {image!r}: expected an image, such as registry.example.org/me/keras-image-search:0.2.0"
        )


def check_cpu(flag: str, amount: str) -> None:
    """Refuse what is no number of cores, or no core at all.

    Raises:
        InputError: It is.
    """
    if not _CPU.fullmatch(amount) or not float(amount.rstrip("m")):
        raise InputError(f"{flag} {amount!r}: expected a number of cores, such as 4, 0.5 or 500m")


def check_memory(flag: str, amount: str) -> None:
    """Refuse what is no amount of memory with its unit: without one Kubernetes takes it for bytes.

    Raises:
        InputError: It is.
    """
    found = _MEMORY.fullmatch(amount)
    if found is None or not float(found["number"]):
        raise InputError(
            f"{flag} {amount!r}: expected an amount of memory with its unit, Mi, Gi or Ti (or M, G, T), such as 16Gi"
        )
