"""Calls methods of Alloy's own Python client, unmodified, one JSON object a line, and answers each with one line:

  {"methods": true}                                        -> {"value": {client: [every method's name]}}
  {"user": ID}                                             -> {"value": null}: every client acts for this user
  {"client": "User", "call": "create_user", "args": [...]} -> {"value": ...} or {"raised": ..., "message": ...}
"""

import json
import os
import sys

from alloy_python import Embedded

alloy = Embedded(os.environ["ALLOY_KEY"])
clients = {name: client for name, client in vars(alloy).items() if hasattr(client, "url")}
for client in clients.values():
    client.url = os.environ["ALLOY_URL"]


def methods(client):
    return [name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))]


def answer(question):
    if "methods" in question:
        own = {"Embedded": methods(alloy)}
        return {"value": own | {name: methods(client) for name, client in clients.items()}}
    if "user" in question:
        for client in clients.values():
            if hasattr(client, "set_user_id"):
                client.set_user_id(question["user"])
        return {"value": None}
    client = alloy if question["client"] == "Embedded" else clients[question["client"]]
    try:
        return {"value": getattr(client, question["call"])(*question["args"])}
    except Exception as error:  # whatever the client raises is its answer
        return {"raised": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
