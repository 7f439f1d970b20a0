//! A client generated from Vapi's published schema (the crate `vapi-client`) against a gateway in Vapi's place: an
//! answer with a field missing, or with a word that the schema does not have, is an error here and nowhere else.
//!
//! `strict URL KEY ENDED`
//!
//! - `URL`: the REST interface of a shop with two lines, both free;
//! - `KEY`: its key;
//! - `ENDED`: a call that is over, the only one there is.
//!
//! Prints one line for each step and `done`; ends with 1 at the first step that went wrong. Leaves nothing behind.

use std::{fmt::Debug, process::ExitCode};

use serde_json::{Value, json};
use vapi_client::{
    apis::{Error, assistants_api as assistants, calls_api as calls, configuration::Configuration},
    models::{
        AssistantOverrides, Call, CallControllerCreate201Response, CreateAssistantDto, CreateCallDto,
        UpdateAssistantDto, UpdateCallDto,
    },
};

/// What went wrong, in words.
type Step<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, key, ended] = arguments.as_slice() else {
        eprintln!("strict URL KEY ENDED");
        return ExitCode::FAILURE;
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("wrong: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(contract(url, key, ended)) {
        Ok(()) => {
            println!("done");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("wrong: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn contract(url: &str, key: &str, ended: &str) -> Step {
    let shop = with_key(url, key);

    equal(ids(&listed(&shop, Which::default()).await?), vec![ended.to_owned()])?;
    let over = shown(&calls::call_controller_find_one(&shop, ended).await.map_err(told)?);
    equal(&over["status"], &json!("ended"))?;
    equal(&over["endedReason"], &json!("assistant-ended-call"))?;
    ensure(over["artifact"]["transcript"].as_str().is_some_and(|said| said.starts_with("AI: ")), &over)?;
    ensure(over["artifact"]["messages"].as_array().is_some_and(|messages| !messages.is_empty()), &over)?;
    println!("ok a call that is over is shown with what remains of it");

    let wanted = CreateAssistantDto {
        name: Some("A".to_owned()),
        first_message: Some("Officina {{shop}}, buongiorno.".to_owned()),
        ..CreateAssistantDto::default()
    };
    let stored = assistants::assistant_controller_create(&shop, wanted.clone()).await.map_err(told)?;
    equal(&stored.first_message, &wanted.first_message)?;
    let again = assistants::assistant_controller_find_one(&shop, &stored.id).await.map_err(told)?;
    equal(&again, &stored)?;
    let limit = Some(5.0);
    let all =
        assistants::assistant_controller_find_all(&shop, limit, None, None, None, None, None, None, None, None).await;
    equal(&all.map_err(told)?, &vec![stored.clone()])?;
    let patch =
        UpdateAssistantDto { first_message: Some("Pronto, {{shop}}.".to_owned()), ..UpdateAssistantDto::default() };
    let changed = assistants::assistant_controller_update(&shop, &stored.id, patch).await.map_err(told)?;
    equal((changed.first_message.as_deref(), changed.name.as_deref()), (Some("Pronto, {{shop}}."), Some("A")))?;
    println!("ok an assistant is stored, shown, listed and changed");

    let values = json!({"shop": "Rossi", "lines": 2});
    let overrides = AssistantOverrides {
        variable_values: Some(values.clone()),
        max_duration_seconds: Some(900.0),
        ..AssistantOverrides::default()
    };
    let wanted = CreateCallDto { assistant_overrides: Some(overrides), ..for_assistant(&stored.id, 16_000) };
    let first = created(&shop, wanted).await?;
    queued(&first, url, 16_000)?;
    equal(first.assistant_id.as_deref(), Some(stored.id.as_str()))?;
    equal(&shown(&first)["assistantOverrides"]["variableValues"], &values)?;
    println!("ok a call is created for a stored assistant, with overrides and variables");

    let own =
        CreateAssistantDto { first_message: Some("Pronto, chi parla?".to_owned()), ..CreateAssistantDto::default() };
    let wanted = CreateCallDto {
        assistant: Some(own),
        name: Some("collaudo".to_owned()),
        transport: Some(transport(44_100)),
        ..CreateCallDto::default()
    };
    let second = created(&shop, wanted).await?;
    queued(&second, url, 44_100)?;
    equal(&shown(&second)["assistant"]["firstMessage"], &json!("Pronto, chi parla?"))?;
    equal(second.name.as_deref(), Some("collaudo"))?;
    println!("ok a call is created for an assistant of its own");

    let every = vec![second.id.clone(), first.id.clone(), ended.to_owned()];
    equal(ids(&listed(&shop, Which::default()).await?), every.clone())?;
    let of_assistant = Which { assistant: Some(&stored.id), ..Which::default() };
    equal(ids(&listed(&shop, of_assistant).await?), vec![first.id.clone()])?;
    equal(ids(&listed(&shop, Which { limit: Some(1.0), ..Which::default() }).await?), vec![second.id.clone()])?;
    let since = Which { created_from: Some(first.created_at.clone()), ..Which::default() };
    equal(ids(&listed(&shop, since).await?), vec![second.id.clone(), first.id.clone()])?;
    println!("ok calls are listed, newest first, by assistant, number and time");

    let name = UpdateCallDto { name: Some("n2".to_owned()), ..UpdateCallDto::default() };
    let renamed = calls::call_controller_update(&shop, &first.id, name).await.map_err(told)?;
    equal(renamed.name.as_deref(), Some("n2"))?;
    let read = calls::call_controller_find_one(&shop, &first.id).await.map_err(told)?;
    equal(&read, &renamed)?;
    println!("ok a call gets another name");

    let wrong = CreateCallDto {
        squad_id: Some("s".to_owned()),
        name: Some("n".repeat(41)),
        ..for_assistant(&stored.id, 16_000)
    };
    let refusal = refused(calls::call_controller_create(&shop, wrong).await, 400)?;
    let mistakes = json!([
        "squadId is not supported: name an assistantId or an assistant",
        "name must be shorter than or equal to 40 characters",
    ]);
    equal(&refusal["message"], &mistakes)?;
    equal(&refusal["error"], &json!("Bad Request"))?;
    println!("ok mistakes are told one by one");

    let refusal = refused(calls::call_controller_find_one(&with_key(url, "wrong"), &first.id).await, 401)?;
    ensure(refusal["message"].as_str().is_some_and(|why| why.starts_with("Invalid Key. Hot tip")), &refusal)?;
    println!("ok a wrong key opens nothing");

    let refusal = refused(calls::call_controller_find_one(&shop, "nobody").await, 404)?;
    equal(&refusal["message"], &json!("Call not found"))?;
    let refusal = refused(assistants::assistant_controller_find_one(&shop, "nobody").await, 404)?;
    equal(&refusal["message"], &json!("Assistant not found"))?;
    println!("ok what is not there is not found");

    let refusal = refused(calls::call_controller_create(&shop, for_assistant(&stored.id, 16_000)).await, 429)?;
    ensure(refusal["message"].as_str().is_some_and(|why| why.starts_with("Over Concurrency Limit.")), &refusal)?;
    equal(ids(&listed(&shop, Which::default()).await?), every)?;
    println!("ok a call for which there is no line is not created");

    // This client sends no body with DELETE, so it cannot name several.
    for id in [first.id.as_str(), second.id.as_str(), ended] {
        let gone = calls::call_controller_delete_call_data(&shop, id).await.map_err(told)?;
        equal(gone.id.as_str(), id)?;
        refused(calls::call_controller_find_one(&shop, id).await, 404)?;
    }
    equal(listed(&shop, Which::default()).await?, vec![])?;
    let gone = assistants::assistant_controller_remove(&shop, &stored.id).await.map_err(told)?;
    equal(&gone.id, &stored.id)?;
    refused(assistants::assistant_controller_find_one(&shop, &stored.id).await, 404)?;
    println!("ok calls and assistants are deleted");
    Ok(())
}

fn with_key(url: &str, key: &str) -> Configuration {
    Configuration { base_path: url.to_owned(), bearer_access_token: Some(key.to_owned()), ..Configuration::default() }
}

fn transport(rate: u32) -> Value {
    let audio = json!({"format": "pcm_s16le", "container": "raw", "sampleRate": rate});
    json!({"provider": "vapi.websocket", "audioFormat": audio})
}

fn for_assistant(id: &str, rate: u32) -> CreateCallDto {
    CreateCallDto { assistant_id: Some(id.to_owned()), transport: Some(transport(rate)), ..CreateCallDto::default() }
}

async fn created(shop: &Configuration, wanted: CreateCallDto) -> Step<Call> {
    match calls::call_controller_create(shop, wanted).await.map_err(told)? {
        CallControllerCreate201Response::Call(call) => Ok(call),
        CallControllerCreate201Response::CallBatchResponse(batch) => Err(format!("a batch: {batch:?}")),
    }
}

/// Which calls are to be listed.
#[derive(Default)]
struct Which<'a> {
    assistant: Option<&'a str>,
    limit: Option<f64>,
    created_from: Option<String>,
}

async fn listed(shop: &Configuration, which: Which<'_>) -> Step<Vec<Call>> {
    let Which { assistant, limit, created_from } = which;
    calls::call_controller_find_all(
        shop,
        None,
        assistant,
        None,
        limit,
        None,
        None,
        created_from,
        None,
        None,
        None,
        None,
        None,
    )
    .await
    .map_err(told)
}

fn ids(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| call.id.clone()).collect()
}

/// As the client writes what it has read: what it did not understand is not there.
fn shown(call: &Call) -> Value {
    serde_json::to_value(call).unwrap_or_default()
}

/// Nobody is connected yet, and everything is there that is needed to connect.
fn queued(call: &Call, url: &str, rate: u32) -> Step {
    let shown = shown(call);
    equal((&shown["status"], &shown["type"]), (&json!("queued"), &json!("vapi.websocketCall")))?;
    equal(&shown["transport"]["audioFormat"]["sampleRate"], &json!(rate))?;
    let ws = url.replacen("http", "ws", 1);
    for (address, begins) in [
        (&shown["transport"]["websocketCallUrl"], format!("{ws}/{}/transport?t=", call.id)),
        (&shown["monitor"]["controlUrl"], format!("{url}/{}/control?t=", call.id)),
        (&shown["monitor"]["listenUrl"], format!("{ws}/{}/listen?t=", call.id)),
    ] {
        ensure(address.as_str().is_some_and(|address| address.starts_with(&begins)), address)?;
    }
    Ok(())
}

/// What was asked must be refused; answers with the body.
fn refused<T: Debug, E: Debug>(asked: Result<T, Error<E>>, status: u16) -> Step<Value> {
    match asked {
        Err(Error::ResponseError(refusal)) if refusal.status.as_u16() == status => {
            serde_json::from_str(&refusal.content).map_err(|error| format!("{error}: {}", refusal.content))
        }
        other => Err(format!("not refused with {status}: {other:?}")),
    }
}

/// An error of the client: what it could not read, or what it was answered.
fn told<E: Debug>(error: Error<E>) -> String {
    match error {
        Error::ResponseError(refusal) => format!("{}: {}", refusal.status, refusal.content),
        other => other.to_string(),
    }
}

fn ensure(is: bool, what: impl Debug) -> Step {
    if is { Ok(()) } else { Err(format!("not as it should be: {what:?}")) }
}

#[track_caller]
fn equal<T: PartialEq + Debug>(found: T, expected: T) -> Step {
    let place = std::panic::Location::caller();
    if found == expected { Ok(()) } else { Err(format!("line {}: {found:?} instead of {expected:?}", place.line())) }
}
