"""Verifies streams as AcmeCo's own server would, with the `standardwebhooks` package of PyPI. Shares no code with the host.

Reads requests from standard input, one JSON object a line, and answers each with one line:
  {"secret": ..., "headers": {...}, "body": ...} -> {"valid": ..., "payload" or "reason": ...}
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def answer(request):
    try:
        payload = Webhook(request["secret"]).verify(request["body"], request["headers"])
        return {"valid": True, "payload": payload}
    except WebhookVerificationError as error:
        return {"valid": False, "reason": str(error)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
