"""Uses the Python client against a host, and says what came of it as one line of JSON."""

import json
import os

from trunnion_api import AuthenticatedClient
from trunnion_api.api.alloy import create_user, get_user, get_user_token, list_user_workflows
from trunnion_api.api.integrations import create_integration
from trunnion_api.api.runs import get_run, list_runs
from trunnion_api.api.workflows import create_workflow, release_workflow
from trunnion_api.models import Definition, NewIntegration, NewUser, NewWorkflow

url = os.environ["TRUNNION_URL"]
trunnion = AuthenticatedClient(base_url=url, token=os.environ["TRUNNION_KEY"])

made = create_user.sync(client=trunnion, body=NewUser(username="typed", full_name="Typed"))
user = get_user.sync(made.user_id, client=trunnion)

integration = create_integration.sync(client=trunnion, body=NewIntegration(app="bigcommerce"))
definition = Definition.from_dict({
    "name": "Typed",
    "trigger": {"type": "request"},
    "steps": [{"id": "keep", "type": "set", "value": "{{ trigger.body }}"}],
})
workflow = create_workflow.sync(
    client=trunnion, body=NewWorkflow(integration_id=integration.id, definition=definition)
)
release = release_workflow.sync(workflow.id, client=trunnion)

refused = get_run.sync_detailed("0" * 24, client=trunnion)
runs = list_runs.sync(client=trunnion, limit=5)

token = get_user_token.sync(made.user_id, client=trunnion).token
browser = AuthenticatedClient(base_url=url, token=token, prefix="", auth_header_name="X-Alloy-User-Token")
seen = list_user_workflows.sync(client=browser)

print(json.dumps({
    "user": user.to_dict(),
    "release": release.number,
    "refused": [int(refused.status_code), refused.parsed.code],
    "runs": len(runs.data),
    "seen": [workflow.name for workflow in seen.data],
}))
