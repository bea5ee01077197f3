"""Names of things that are there, in half of the calls: made-up ones only ever find that there is no such thing."""

import json
import os
import random

import schemathesis

with open(os.environ["TRUNNION_NAMES"], encoding="utf-8") as file:
    NAMES = json.load(file)

CHANCE = random.Random(7)

# A component is sent as it is.
schemathesis.serializer.alias("application/wasm", "application/octet-stream")


def known(values):
    if not values:
        return values
    for name in values:
        if name in NAMES and CHANCE.random() < 0.5:
            real = NAMES[name]
            values[name] = CHANCE.choice(real) if isinstance(real, list) else real
    return values


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    return known(path_parameters)


@schemathesis.hook
def map_query(context, query):
    return known(query)


@schemathesis.hook
def before_call(context, case, kwargs):
    # A listener that waits is answered when something comes, or after 20 s.
    if isinstance(case.body, dict) and "wait_secs" in case.body and isinstance(case.body["wait_secs"], int):
        case.body["wait_secs"] = min(case.body["wait_secs"], 0)
