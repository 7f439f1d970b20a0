// Vapi's official TypeScript client (@vapi-ai/server-sdk) against a gateway in Vapi's place.
//
// node contract.mjs URL KEY ENDED FOLDER
//   URL     the REST interface of a shop with two lines, both free
//   KEY     its key
//   ENDED   a call that is over, the only one there is
//   FOLDER  where the client is installed
//
// Prints one line for each step and `done`; ends with 1 at the first step that went wrong. Leaves nothing behind.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [url, key, ended, folder] = process.argv.slice(2);
const { Vapi, VapiClient, VapiError } = createRequire(`${folder}/`)("@vapi-ai/server-sdk");
const client = new VapiClient({ token: key, baseUrl: url });

const transport = (sampleRate) => ({
  provider: "vapi.websocket",
  audioFormat: { format: "pcm_s16le", container: "raw", sampleRate },
});
const ids = (list) => list.map((it) => it.id);

async function step(name, check) {
  try {
    const made = await check();
    console.log(`ok ${name}`);
    return made;
  } catch (error) {
    console.error(`wrong: ${name}\n${error.stack}`);
    process.exit(1);
  }
}

// What was asked must be refused; answers with what the client makes of the refusal.
async function refusal(asked, status) {
  try {
    await asked;
  } catch (error) {
    assert.ok(error instanceof VapiError, `not an error of the client: ${error.stack}`);
    assert.equal(error.statusCode, status);
    assert.equal(error.body.statusCode, status);
    return error;
  }
  assert.fail(`it was granted, instead of refused with ${status}`);
}

// Nobody is connected yet, and everything is there that is needed to connect.
function assertQueued(call, rate) {
  assert.equal(call.status, "queued");
  assert.equal(call.type, "vapi.websocketCall");
  assert.ok(call.orgId.length > 0);
  for (const time of [call.createdAt, call.updatedAt]) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(call.transport.provider, "vapi.websocket");
  assert.equal(call.transport.audioFormat.sampleRate, rate);
  const base = url.replace(/^http/, "ws");
  assert.ok(call.transport.websocketCallUrl.startsWith(`${base}/${call.id}/transport?t=`));
  assert.ok(call.monitor.controlUrl.startsWith(`${url}/${call.id}/control?t=`));
  assert.ok(call.monitor.listenUrl.startsWith(`${base}/${call.id}/listen?t=`));
}

await step("a call that is over is shown with what remains of it", async () => {
  assert.deepEqual(ids(await client.calls.list()), [ended]);
  const call = await client.calls.get({ id: ended });
  assert.equal(call.status, "ended");
  assert.equal(call.endedReason, "assistant-ended-call");
  assert.ok(Date.parse(call.endedAt) >= Date.parse(call.startedAt));
  assert.match(call.artifact.transcript, /^AI: /);
  assert.ok(call.artifact.messages.length > 0);
});

const stored = await step("an assistant is stored, shown, listed and changed", async () => {
  const made = await client.assistants.create({ name: "A", firstMessage: "Officina {{shop}}, buongiorno." });
  assert.ok(made.id && made.orgId && made.createdAt && made.updatedAt);
  assert.equal(made.firstMessage, "Officina {{shop}}, buongiorno.");
  assert.deepEqual(await client.assistants.get({ id: made.id }), made);
  assert.deepEqual(ids(await client.assistants.list({ limit: 5 })), [made.id]);
  const changed = await client.assistants.update({ id: made.id, firstMessage: "Pronto, {{shop}}." });
  assert.equal(changed.firstMessage, "Pronto, {{shop}}.");
  assert.equal(changed.name, "A");
  return made.id;
});

const first = await step("a call is created for a stored assistant, with overrides and variables", async () => {
  const call = await client.calls.create({
    assistantId: stored,
    assistantOverrides: { variableValues: { shop: "Rossi", lines: 2 }, maxDurationSeconds: 900 },
    transport: transport(16000),
  });
  assertQueued(call, 16000);
  assert.equal(call.assistantId, stored);
  assert.deepEqual(call.assistantOverrides.variableValues, { shop: "Rossi", lines: 2 });
  assert.equal(call.subscriptionLimits.remainingConcurrentCalls, 1);
  return call;
});

const second = await step("a call is created for an assistant of its own", async () => {
  const call = await client.calls.create({
    assistant: { firstMessage: "Pronto, chi parla?" },
    name: "collaudo",
    transport: transport(44100),
  });
  assertQueued(call, 44100);
  assert.equal(call.assistant.firstMessage, "Pronto, chi parla?");
  assert.equal(call.name, "collaudo");
  assert.equal(call.subscriptionLimits.remainingConcurrentCalls, 0);
  return call;
});

await step("calls are listed, newest first, by assistant, time, id and number", async () => {
  assert.deepEqual(ids(await client.calls.list()), [second.id, first.id, ended]);
  assert.deepEqual(ids(await client.calls.list({ assistantId: stored })), [first.id]);
  assert.deepEqual(ids(await client.calls.list({ id: first.id })), [first.id]);
  assert.deepEqual(ids(await client.calls.list({ limit: 1 })), [second.id]);
  assert.deepEqual(ids(await client.calls.list({ createdAtGe: first.createdAt })), [second.id, first.id]);
  assert.deepEqual(ids(await client.calls.list({ createdAtLt: first.createdAt })), [ended]);
});

await step("a call gets another name", async () => {
  assert.equal((await client.calls.update({ id: first.id, name: "n2" })).name, "n2");
  const call = await client.calls.get({ id: first.id });
  assert.equal(call.name, "n2");
  assert.equal(call.status, "queued");
});

await step("mistakes are told one by one", async () => {
  const wrong = { squadId: "s", name: "n".repeat(41), assistantId: stored, transport: transport(16000) };
  const error = await refusal(client.calls.create(wrong), 400);
  assert.ok(error instanceof Vapi.BadRequestError);
  assert.equal(error.body.error, "Bad Request");
  assert.deepEqual(error.body.message, [
    "squadId is not supported: name an assistantId or an assistant",
    "name must be shorter than or equal to 40 characters",
  ]);
  const nowhere = await refusal(client.calls.create({ assistantId: stored }), 400);
  assert.match(String(nowhere.body.message), /^Couldn't Get Phone Number\./);
});

await step("a wrong key opens nothing", async () => {
  const stranger = new VapiClient({ token: "wrong", baseUrl: url });
  const error = await refusal(stranger.calls.list(), 401);
  assert.match(error.body.message, /^Invalid Key\. Hot tip/);
});

await step("what is not there is not found", async () => {
  const nobody = "00000000-0000-7000-8000-000000000000";
  assert.equal((await refusal(client.calls.get({ id: nobody }), 404)).body.message, "Call not found");
  assert.equal((await refusal(client.assistants.get({ id: nobody }), 404)).body.message, "Assistant not found");
  await refusal(client.calls.create({ assistantId: nobody, transport: transport(16000) }), 404);
});

await step("a call for which there is no line is not created, however often the client tries", async () => {
  const asked = performance.now();
  const error = await refusal(client.calls.create({ assistantId: stored, transport: transport(16000) }), 429);
  assert.match(error.body.message, /^Over Concurrency Limit\./);
  assert.ok(performance.now() - asked > 9000, "it tried twice more, each time after the five seconds it was told");
  assert.deepEqual(ids(await client.calls.list()), [second.id, first.id, ended]);
});

await step("a call is deleted, and its line is free again", async () => {
  assert.equal((await client.calls.delete({ id: first.id })).id, first.id);
  await refusal(client.calls.get({ id: first.id }), 404);
  const third = await client.calls.create({ assistantId: stored, transport: transport(8000) });
  assertQueued(third, 8000);
  const gone = await client.calls.delete({ id: first.id, ids: [third.id, second.id, ended] });
  assert.equal(gone.id, third.id);
  assert.deepEqual(await client.calls.list(), []);
});

await step("an assistant is deleted", async () => {
  assert.equal((await client.assistants.delete({ id: stored })).id, stored);
  await refusal(client.assistants.get({ id: stored }), 404);
  assert.deepEqual(await client.assistants.list(), []);
});

console.log("done");
