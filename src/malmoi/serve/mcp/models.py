"""The tool that lists the models of the server."""

from __future__ import annotations

from malmoi.serve.mcp.tool import Call, Told
from malmoi.serve.mcp.types import ModelListing, ModelListings, Nothing
from malmoi.serve.models import model_item


async def list_models(call: Call, _: Nothing) -> Told:
    """Every model that is known here, the default first."""
    downloads = call.services.downloads
    items = []
    for state in call.services.engines.states():
        item = model_item(state, downloads.item(state.name), downloads.is_running(state.name))
        items.append(
            ModelListing(
                name=item.name,
                title=item.title,
                description=item.description,
                state=item.state,
                default=item.default,
                capabilities=item.capabilities,
                context_length=item.context_length,
            )
        )
    lines = [
        f"- {one.name} ({one.state}{', default' if one.default else ''}): "
        f"{', '.join(one.capabilities) or 'not known yet'}"
        for one in items
    ]
    return Told("\n".join(lines) or "There are no models.", ModelListings(models=items))
