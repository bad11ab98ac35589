"""Skills over HTTP: an OpenAPI 3.0 or 3.1 document becomes operations, and a call becomes a request."""

from malmoi.assist.skills.openapi.document import ApiDocument, read_document
from malmoi.assist.skills.openapi.operations import Api, Endpoint, read_api
from malmoi.assist.skills.openapi.provider import OpenApiProvider

__all__ = ["Api", "ApiDocument", "Endpoint", "OpenApiProvider", "read_api", "read_document"]
