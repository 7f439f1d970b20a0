"""Vapi's official Python client (vapi_server_sdk) against a gateway in Vapi's place.

python contract.py URL KEY ENDED
  URL    the REST interface of a shop with two lines, both free
  KEY    its key
  ENDED  a call that is over, the only one there is

Prints one line for each step and `done`; ends with 1 at the first step that went wrong. Leaves nothing behind.
"""

import datetime as dt
import sys
import time
import traceback

from vapi import AssistantOverrides, AudioFormat, BadRequestError, CreateAssistantDto, Vapi
from vapi.calls import CreateCallDtoTransport_VapiWebsocket
from vapi.core.api_error import ApiError

URL, KEY, ENDED = sys.argv[1:4]
NOBODY = "00000000-0000-7000-8000-000000000000"
client = Vapi(token=KEY, base_url=URL)


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")


def true(found, what):
    if not found:
        raise AssertionError(what)


def typed(rate):
    """A typed argument: the client writes the rate as 16000.0."""
    audio = AudioFormat(format="pcm_s16le", container="raw", sample_rate=rate)
    true(isinstance(audio.sample_rate, float), "the client made a float of it")
    return CreateCallDtoTransport_VapiWebsocket(audio_format=audio)


def plain(rate):
    """A dict: written as it is."""
    audio = {"format": "pcm_s16le", "container": "raw", "sampleRate": rate}
    return {"provider": "vapi.websocket", "audioFormat": audio}


def ids(listed):
    return [it.id for it in listed]


def refused(ask, status):
    """What is asked must be refused; answers with what the client makes of the refusal."""
    try:
        granted = ask()
    except ApiError as error:
        equal(error.status_code, status)
        equal(error.body["statusCode"], status)
        return error
    raise AssertionError(f"granted, instead of refused with {status}: {granted!r}")


def assert_queued(call):
    """Nobody is connected yet, and everything is there that is needed to connect."""
    equal(call.status, "queued")
    equal(call.type, "vapi.websocketCall")
    true(call.org_id, "the call is somebody's")
    for at in (call.created_at, call.updated_at):
        true(isinstance(at, dt.datetime) and at.tzinfo is not None, f"{at!r} is a time")
    base = "ws" + URL.removeprefix("http")
    url = call.transport.websocketCallUrl
    true(url.startswith(f"{base}/{call.id}/transport?t="), url)
    true(call.monitor.control_url.startswith(f"{URL}/{call.id}/control?t="), call.monitor.control_url)
    true(call.monitor.listen_url.startswith(f"{base}/{call.id}/listen?t="), call.monitor.listen_url)


made = {}


def what_remains():
    equal(ids(client.calls.list()), [ENDED])
    call = client.calls.get(ENDED)
    equal((call.status, call.ended_reason), ("ended", "assistant-ended-call"))
    true(call.ended_at >= call.started_at, "it ended after it began")
    true(call.artifact.transcript.startswith("AI: "), call.artifact.transcript)
    true(call.artifact.messages, "there are messages")


def assistants():
    stored = client.assistants.create(name="A", first_message="Officina {{shop}}, buongiorno.")
    true(stored.id and stored.org_id and stored.created_at and stored.updated_at, repr(stored))
    equal(stored.first_message, "Officina {{shop}}, buongiorno.")
    equal(client.assistants.get(stored.id), stored)
    equal(ids(client.assistants.list(limit=5)), [stored.id])
    changed = client.assistants.update(stored.id, first_message="Pronto, {{shop}}.")
    equal((changed.first_message, changed.name), ("Pronto, {{shop}}.", "A"))
    made["assistant"] = stored.id


def stored_assistant():
    overrides = AssistantOverrides(variable_values={"shop": "Rossi", "lines": 2}, max_duration_seconds=900)
    call = client.calls.create(
        assistant_id=made["assistant"], assistant_overrides=overrides, transport=typed(16000)
    )
    assert_queued(call)
    equal(call.assistant_id, made["assistant"])
    equal(call.assistant_overrides.variable_values, {"shop": "Rossi", "lines": 2})
    equal(call.assistant_overrides.max_duration_seconds, 900)
    made["first"] = call


def transient_assistant():
    assistant = CreateAssistantDto(first_message="Pronto, chi parla?")
    call = client.calls.create(assistant=assistant, name="collaudo", transport=plain(44100))
    assert_queued(call)
    equal((call.assistant.first_message, call.name), ("Pronto, chi parla?", "collaudo"))
    made["second"] = call


def lists():
    first, second = made["first"], made["second"]
    equal(ids(client.calls.list()), [second.id, first.id, ENDED])
    equal(ids(client.calls.list(assistant_id=made["assistant"])), [first.id])
    equal(ids(client.calls.list(id=first.id)), [first.id])
    equal(ids(client.calls.list(limit=1)), [second.id])
    equal(ids(client.calls.list(limit=1.0)), [second.id])
    equal(ids(client.calls.list(created_at_ge=first.created_at)), [second.id, first.id])
    equal(ids(client.calls.list(created_at_lt=first.created_at)), [ENDED])


def renames():
    first = made["first"].id
    equal(client.calls.update(first, name="n2").name, "n2")
    call = client.calls.get(first)
    equal((call.name, call.status), ("n2", "queued"))


def mistakes():
    error = refused(
        lambda: client.calls.create(
            squad_id="s", name="n" * 41, assistant_id=made["assistant"], transport=typed(16000)
        ),
        400,
    )
    true(isinstance(error, BadRequestError), repr(error))
    equal(error.body["error"], "Bad Request")
    equal(
        error.body["message"],
        [
            "squadId is not supported: name an assistantId or an assistant",
            "name must be shorter than or equal to 40 characters",
        ],
    )
    nowhere = refused(lambda: client.calls.create(assistant_id=made["assistant"]), 400)
    true("Couldn't Get Phone Number." in str(nowhere.body["message"]), repr(nowhere.body))


def wrong_key():
    stranger = Vapi(token="wrong", base_url=URL)
    error = refused(stranger.calls.list, 401)
    true(error.body["message"].startswith("Invalid Key. Hot tip"), repr(error.body))


def not_there():
    equal(refused(lambda: client.calls.get(NOBODY), 404).body["message"], "Call not found")
    equal(refused(lambda: client.assistants.get(NOBODY), 404).body["message"], "Assistant not found")
    refused(lambda: client.calls.create(assistant_id=NOBODY, transport=typed(16000)), 404)


def no_line():
    asked = time.monotonic()
    error = refused(
        lambda: client.calls.create(assistant_id=made["assistant"], transport=typed(16000)), 429
    )
    true(error.body["message"].startswith("Over Concurrency Limit."), repr(error.body))
    took = time.monotonic() - asked
    true(took > 9, f"it tried twice more, each time after the five seconds it was told: {took:.1f} s")
    equal(ids(client.calls.list()), [made["second"].id, made["first"].id, ENDED])


def deletes():
    first, second = made["first"].id, made["second"].id
    equal(client.calls.delete(first).id, first)
    refused(lambda: client.calls.get(first), 404)
    third = client.calls.create(assistant_id=made["assistant"], transport=typed(8000))
    assert_queued(third)
    equal(client.calls.delete(first, ids=[third.id, second, ENDED]).id, third.id)
    equal(client.calls.list(), [])


def deletes_assistant():
    equal(client.assistants.delete(made["assistant"]).id, made["assistant"])
    refused(lambda: client.assistants.get(made["assistant"]), 404)
    equal(client.assistants.list(), [])


STEPS = {
    "a call that is over is shown with what remains of it": what_remains,
    "an assistant is stored, shown, listed and changed": assistants,
    "a call is created for a stored assistant, with overrides and variables": stored_assistant,
    "a call is created for an assistant of its own": transient_assistant,
    "calls are listed, newest first, by assistant, time, id and number": lists,
    "a call gets another name": renames,
    "mistakes are told one by one": mistakes,
    "a wrong key opens nothing": wrong_key,
    "what is not there is not found": not_there,
    "a call for which there is no line is not created, however often the client tries": no_line,
    "a call is deleted, and its line is free again": deletes,
    "an assistant is deleted": deletes_assistant,
}

for name, check in STEPS.items():
    try:
        check()
    except Exception:
        print(f"wrong: {name}", file=sys.stderr)
        traceback.print_exc()
        sys.exit(1)
    print(f"ok {name}", flush=True)
print("done")
