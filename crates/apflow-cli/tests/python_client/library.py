"""What the client library of the first Python version is answered, one JSON line a step."""

import asyncio
import json

import httpx
from apflow.cli.api_client import APIClient, APIResponseError
from apflow.core.config_manager import get_config_manager

config = get_config_manager()
config.load_cli_config()
LEAF = {"schemas": {"method": "system_info_executor"}, "inputs": {"resource": "cpu"}}


async def say(step, answer):
    try:
        print(json.dumps({"step": step, "answer": await answer}))
    except APIResponseError as error:
        print(json.dumps({"step": step, "error": str(error)}))


async def streamed(task_id):
    params = {"task_id": task_id, "use_streaming": True}
    body = {"jsonrpc": "2.0", "id": "s", "method": "tasks.execute", "params": params}
    headers = {"Authorization": f"Bearer {config.admin_auth_token}"}
    events = []
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        address = f"{config.api_server_url}/tasks"
        async with http.stream("POST", address, json=body, headers=headers) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line[6:]))
    return events


async def main():
    async with APIClient(config.api_server_url, config.admin_auth_token) as client:
        await say("create_task", client.create_task("lib", "system_info_executor", {"resource": "cpu"}))
        tree = [
            {"id": "top", "name": "top", "schemas": {"method": "aggregate_results_executor"}},
            {"id": "low", "name": "low", "parent_id": "top", **LEAF},
        ]
        await say("create_tasks", client.create_tasks(tree))
        await say("execute_task", client.execute_task("top"))
        await say("execute_task missing", client.execute_task("nobody"))
        await say("get_task_status", client.get_task_status("top"))
        await say("get_task_tree", client.get_task_tree("top"))
        await say("create stream", client.create_tasks({"id": "stream", "name": "stream", **LEAF}))
        await say("stream", streamed("stream"))
        again = {"id": "again", "name": "again", **LEAF}
        await say("execute tasks", client.call_method("tasks.execute", tasks=[again]))
        await say("create hook", client.create_tasks({"id": "hook", "name": "hook", **LEAF}))
        # What the scheduler of that version sends to run a task that is due.
        trigger = client.call_method("tasks.webhook.trigger", task_id="hook", async_execution=False)
        await say("trigger", trigger)
        callback = {"method": "POST"}
        await say("callback", client.call_method("tasks.execute", task_id="lib", webhook_config=callback))
        await say("generate", client.call_method("tasks.generate"))
        await say("list_tasks", client.list_tasks(status="completed", limit=1))
        await say("count_tasks", client.count_tasks(root_only=True, statuses=["completed"]))
        await say("copy_task", client.copy_task(task_id="top", origin_type="link"))
        await say("cancel_task", client.cancel_task("nobody"))
        await say("running", client.call_method("tasks.running.count"))
        await say("unknown", client.call_method("tasks.nope"))


asyncio.run(main())
