"""What the operator settles reaches the skills: the home, trusted hosts, and addresses of real providers."""

from malmoi.assist.egress import Egress, EgressRules
from malmoi.assist.skills.found import builtin_skills
from malmoi.assist.skills.limits import SkillLimits
from malmoi.serve.skills.registry import SkillRegistry


async def test_settles_homes_hosts_and_addresses(tmp_path):
    egress = Egress(EgressRules(trusted_hosts=("mail.house:25993",)))
    addresses = {"weather": "https://weather.example"}
    registry = SkillRegistry(None, tmp_path, egress, SkillLimits(), addresses, None)
    settled = {one.name: registry._at_home(one).manifest.source for one in builtin_skills()}
    assert settled["calendar"].settings == {"folder": f"{tmp_path}/calendars"}
    assert settled["mail"].settings == {"trusted_hosts": ["mail.house:25993"]}
    assert settled["weather"].base_url == "https://weather.example"
    assert settled["cars"].base_url == "http://127.0.0.1:8799/cars"
