"""Who is calling: the sandbox keeps bookings by what a bearer token is, and knows no people."""

import hashlib
import hmac

SHORTEST_TOKEN = 16


def account_token(secret: bytes, account_id: str) -> str:
    """A token for an account that nobody can guess without the secret.

    Args:
        secret: of the server that calls the sandbox, at least 16 bytes.
        account_id: the person's.
    """
    return hmac.new(secret, b"sandbox:" + account_id.encode(), hashlib.sha256).hexdigest()


def owner_of(authorization: str) -> str | None:
    """Under which name the bookings of this `Authorization` header are kept; None: it is not a good one.

    Only a digest is kept, so the file of bookings holds no token.
    """
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or len(token.strip()) < SHORTEST_TOKEN:
        return None
    return hashlib.sha256(token.strip().encode()).hexdigest()[:32]
