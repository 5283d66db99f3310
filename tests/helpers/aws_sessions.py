"""Sessions of the SDK that share what it knows of AWS: reading that takes longer than most tests."""

from __future__ import annotations

from botocore.loaders import Loader, create_loader
from botocore.session import Session, get_session

_DESCRIPTIONS: Loader = create_loader()


def new_session() -> Session:
    """Return a session that keeps nothing of another: no credentials, no profile, no Region."""
    session = get_session()
    session.register_component("data_loader", _DESCRIPTIONS)
    return session
