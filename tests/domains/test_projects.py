"""Projects, their members, and who may change them."""

from tests.conftest import Team


def tiers(team: Team) -> dict[str, str]:
    members = team.call("project", action="get", name="web", project="")["project"]["members"]
    return {each["name"]: each["tier"] for each in members}


def test_whoever_creates_a_project_is_its_admin(team: Team):
    assert tiers(team) == {"ann": "admin"}


def test_a_stranger_may_add_only_itself_and_only_as_pending(team: Team):
    assert "no admin" in team.refusal("project", agent="eve", action="add_agent", name="web", member="eve", tier="admin", project="").message
    assert "no admin" in team.refusal("project", agent="eve", action="remove_agent", name="web", member="ann", project="").message
    team.call("project", agent="eve", action="add_agent", name="web", member="eve", project="")
    assert tiers(team) == {"ann": "admin", "eve": "pending"}


def test_an_admin_adds_members_and_an_update_keeps_what_it_does_not_name(team: Team):
    team.call("project", action="add_agent", name="web", member="bob", role="api", project="")
    team.call("project", action="add_human", name="web", member="pat", tier="admin", project="")
    team.call("project", action="update_agent", name="web", member="pat", role="lead", project="")
    assert tiers(team) == {"ann": "admin", "bob": "member", "pat": "admin"}


def test_a_project_keeps_an_admin(team: Team):
    assert "without an admin" in team.refusal("project", action="remove_agent", name="web", member="ann", project="").message
    assert "without an admin" in team.refusal("project", action="update_agent", name="web", member="ann", tier="member", project="").message


def test_a_project_that_is_there_or_whose_name_cannot_be_is_refused(team: Team):
    assert "exists already" in team.refusal("project", action="create", name="web", project="").message
    assert "reserved" in team.refusal("project", action="create", name="con", project="").message
    assert "Did you mean web?" in team.refusal("project", action="get", name="wbe", project="").fix
