"""Documents: collections with access rights, an index that follows what is uploaded, and hybrid search."""

from malmoi.serve.documents.routes import documents_router, is_upload
from malmoi.serve.documents.service import Documents, DocumentsFor
from malmoi.serve.documents.types import Hit

__all__ = ["Documents", "DocumentsFor", "Hit", "documents_router", "is_upload"]
