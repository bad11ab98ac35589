"""Ids and words in the addresses of skills, sets and routers: what no database takes is refused before."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from skills_server import skills_server

PATHS = (
    "/api/skills/%00",
    "/api/skills/runs/%00",
    "/api/skills/runs/run/files/%00",
    "/api/skills/audit?before=%00",
    "/api/skills/sets/%00",
    "/api/skills/sets/set/rows?search=%00",
    "/api/skills/sets/set/rows?skill=%00",
    "/api/routers/%00",
)
POSTS = {
    "/api/skills/sets/%00/runs": {"query": "x", "skills": ["math"]},
    "/v1/skillsets/%00/versions/1/final-answer": {"query": "x"},
    "/v1/routers/%00/versions/1/route": {"query": "x"},
}


async def test_no_address_holds_u0000(home: Path) -> None:
    async with skills_server(home) as server:
        for path in PATHS:
            assert (await server.client.get(path)).status_code == 400, path
        for path, body in POSTS.items():
            assert (await server.client.post(path, json=body)).status_code == 400, path
