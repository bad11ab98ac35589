"""The Studio API: the shapes of the HyperCLOVA X platform, so that its clients run unchanged."""

from malmoi.serve.studio.routes import OlderPrefixes, studio_router

__all__ = ["OlderPrefixes", "studio_router"]
