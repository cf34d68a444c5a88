from pathlib import Path

from temporalio.client import Client

from tests.parts.temporal import DevServer


async def test_a_restarted_server_remembers_its_workflows(temporal_server: DevServer, tmp_path: Path) -> None:
    with DevServer(temporal_server.binary, tmp_path, {"matching.rps": "5000"}) as server:
        client = await Client.connect(server.address)
        before = await client.start_workflow("Any", id="kept", task_queue="nobody")
        server.restart(kill=True)
        client = await Client.connect(server.address)
        description = await client.get_workflow_handle("kept").describe()
    assert description.run_id == before.first_execution_run_id


async def test_the_session_server_answers(temporal_client: Client) -> None:
    assert await temporal_client.service_client.check_health()
