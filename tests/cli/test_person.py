"""`person create|list|rename|disable|enable`, and keys that belong to a person."""

from tests.cli.conftest import Running
from tests.cli.shell import Shell


def test_a_person_is_created_named_by_a_key_and_disabled(at: Shell, running: Running) -> None:
    ann = at("person", "create", "ann", "--json").json["id"]
    made = at("key", "create", "--store", running.store, "--role", "client", "--person", "ann", "--json").json
    unknown = at("key", "create", "--store", running.store, "--role", "client", "--person", "eve")

    assert at("person", "rename", ann, "anna").out.strip() == ann
    (key,) = [key for key in at("key", "list", "--json").lines if key["id"] == made["id"]]
    assert (key["person"], key["person_name"], key["scope"]) == (ann, "anna", "own")
    assert (unknown.code, "must be the id of a person" in unknown.err) == (2, True)
    assert at("person", "disable", ann).code == 0
    (listed,) = at("person", "list", "--json").lines
    assert listed["disabled_at"] is not None
    assert at("task", "list", "--api-key", made["key"]).code == 4
    assert at("person", "enable", ann).code == 0
    assert at("task", "list", "--api-key", made["key"]).code == 0
