"""`tenant erase`: a tenant of an encrypted store is erased by its keys, after another person has killed it."""

from pathlib import Path

from tests.cli.conftest import Running
from tests.cli.shell import Server, Shell
from tests.support.at_rest import key_file


def test_a_tenant_is_erased_by_another_person_than_the_one_who_killed_it(shell: Shell, tmp_path: Path) -> None:
    encryption = {"SWARMKEEPER_ENCRYPTION_KEY": key_file(tmp_path / "master.key")}
    store = f"sqlite:///{tmp_path / 'store.db'}"
    server = Server("serve", "--store", store, "--port", "0", "--json", folder=tmp_path, environ=encryption)
    try:
        shell.set(SWARMKEEPER_URL=server.first_line()["url"], **encryption)
        first, second = [
            shell("key", "create", "--store", store, "--role", "admin", "--owner", owner, "--json").json["key"]
            for owner in ("ann", "bea")
        ]
        shell.set(SWARMKEEPER_API_KEY=first)
        task = shell("submit", "about jane").out.strip()
        shell("task", "cancel", task)
        assert shell("kill", "tenant", "default", "--reason", "the contract ended").code == 0

        alone = shell("tenant", "erase", "default", "--reason", "the contract ended")
        shell.set(SWARMKEEPER_API_KEY=second)
        done = shell("tenant", "erase", "default", "--reason", "the contract ended", "--json")

        assert alone.code != 0
        assert "ask somebody else (four_eyes)" in alone.err
        assert (done.code, done.json) == (0, {"tenant": "default", "erased": True})
        assert shell("task", "get", task).code == 5
        verified = shell("audit", "verify", store)
        assert verified.code == 0
        assert "bodies were erased, as these" in verified.out
        assert shell("doctor", "--deep", "--store", store).code == 0
    finally:
        server.stop()


def test_a_store_that_is_not_encrypted_is_not_erased_so(at: Shell, running: Running) -> None:
    refused = at("tenant", "erase", "default", "--reason", "x")

    assert refused.code == 6
    assert "run `swarmkeeper store encrypt`" in refused.err
